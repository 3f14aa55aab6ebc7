"""The step `combine`: one SavedModel of both networks."""
