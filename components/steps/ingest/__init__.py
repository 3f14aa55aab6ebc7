"""The step `ingest`: a source of faces, checked and written as arrays."""
