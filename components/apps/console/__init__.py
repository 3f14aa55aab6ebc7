"""`emotion-ai console`: a web page for photos and the camera."""
