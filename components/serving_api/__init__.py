"""TensorFlow Serving's messages, tensors and golden answers, without TensorFlow."""
