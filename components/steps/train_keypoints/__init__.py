"""The step `train-keypoints`: the keypoint network."""
