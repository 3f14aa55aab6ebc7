"""The step `resolve`."""
