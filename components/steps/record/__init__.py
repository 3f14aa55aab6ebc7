"""The step `record`: reports of earlier steps copied into the run's folder."""
