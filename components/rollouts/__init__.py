"""What makes a release answer: targets, and proof by golden answers."""
