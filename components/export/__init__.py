"""TensorFlow exports: the combined SavedModel and model.tflite, and calls to the former."""
