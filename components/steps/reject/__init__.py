"""The step `reject`: the record of a rejected candidate."""
