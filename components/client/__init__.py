"""The client: detects faces in pictures, asks the model server and decodes its responses."""
