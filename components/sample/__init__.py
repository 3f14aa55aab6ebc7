"""Drawn faces with exact keypoints and emotions: a data set for demonstrations and tests."""
