"""The step `reject`."""
