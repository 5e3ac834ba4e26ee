"""The small files beside an image: names and colours of a mask for a GIS, and where an image lies."""
