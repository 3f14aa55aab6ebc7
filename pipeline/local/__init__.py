"""A run of the compiled DAG on this machine."""
