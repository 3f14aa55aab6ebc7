"""The step `rollout`: the release made the champion."""
