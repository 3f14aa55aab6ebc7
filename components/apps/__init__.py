"""What people run: predict for pictures, watch for videos, and the console."""
