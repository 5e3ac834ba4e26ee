"""Write masks and read them back: PNG, GeoTIFF, COG, and what they say of themselves."""
