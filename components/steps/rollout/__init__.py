"""The step `rollout`."""
