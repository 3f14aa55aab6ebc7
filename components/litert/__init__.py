"""`model.tflite`, run in this process by LiteRT, without TensorFlow."""
