"""`emotion-ai predict`: picture files and folders, and the formats of their results."""
