"""The pipeline: the DAG, its settings and policy, the local run and the command line."""
