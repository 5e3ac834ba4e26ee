"""What bounds a run: locks, limits, signs of life, signals."""
