"""The step `resolve`: fingerprints of the sources, and the champion."""
