"""What runs the network: tiles in, logits out."""
