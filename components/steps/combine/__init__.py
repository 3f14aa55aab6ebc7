"""The step `combine`."""
