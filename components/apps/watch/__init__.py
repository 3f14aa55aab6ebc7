"""`emotion-ai watch`: faces followed through videos, cameras and streams."""
