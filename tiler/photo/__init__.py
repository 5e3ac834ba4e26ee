"""Where a drone photo taken straight down lies on the ground, from what its EXIF and XMP say."""
