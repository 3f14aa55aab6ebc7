"""The step `prepare`: splits, statistics and augmentation of the faces."""
