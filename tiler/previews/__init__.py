"""Previews of an image and its masks, at about 1500 pixels, for pages that show them."""
