"""Names of files in and out: walk, pair, name, and write whole or not at all."""
