"""What bounds a run: locks, limits, signals."""
