"""The step `notify`: the record and the page of a run."""
