"""The networks in Keras 3: architectures, losses, training, checkpoints and weights."""
