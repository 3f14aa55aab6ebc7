"""The step `prepare`."""
