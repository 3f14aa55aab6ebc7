"""The step `push`: the SavedModel published as a release."""
