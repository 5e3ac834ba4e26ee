"""Train a SegFormer on crops."""
