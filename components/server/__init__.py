"""The embedded model server: TensorFlow Serving's gRPC API in one Python process."""
