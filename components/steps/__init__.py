"""The steps of the DAG: a folder for each, with its KFP signature and its code."""
