"""The step `train-expression`: the expression network."""
