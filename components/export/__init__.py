"""SavedModels and model.tflite: the room where TensorFlow is imported."""
