"""The step `evaluate`: scores of both models, and the gate's decision."""
