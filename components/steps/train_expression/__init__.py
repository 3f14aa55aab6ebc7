"""The step `train-expression`."""
