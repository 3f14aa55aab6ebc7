"""Rollouts in a Kubernetes cluster: canary, proof, bake, promotion, and the way back."""
