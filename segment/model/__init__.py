"""A checkpoint: described, loaded, checked, folded, written."""
