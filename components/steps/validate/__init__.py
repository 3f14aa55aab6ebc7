"""The step `validate`: the SavedModel tried in a model server."""
