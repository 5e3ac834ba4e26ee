"""Where the tiles of an image lie, and where they meet."""
