"""The steps of the DAG: a folder each, with its KFP signature and the code that it runs."""
