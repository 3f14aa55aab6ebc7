"""The step `record`."""
