"""Publishes the pipeline to Kubeflow Pipelines: versions, schedules and runs."""
