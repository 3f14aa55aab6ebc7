"""Faces as data: labels, keypoints, geometry, augmentation and the arrays on disk."""
