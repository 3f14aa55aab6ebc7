"""The step `train-keypoints`."""
