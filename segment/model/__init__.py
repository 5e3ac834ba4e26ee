"""A checkpoint: described, loaded, checked, written; and the network that engines run."""
