"""From the logits of tiles to rows of labels."""
