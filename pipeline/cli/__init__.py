"""The command `emotion-ai`."""
