"""Look through the labels of a data set that are the most doubtful, and correct them."""
