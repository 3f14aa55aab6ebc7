"""Rollouts: make a release the champion on a target, and verify a server's golden answers."""
