"""Runs the compiled DAG on this machine."""
