"""Read one image: what its header holds and claims, where it lies, its channels, values and pixels."""
