"""The step `validate`."""
