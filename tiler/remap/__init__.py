"""Leave classes out, or merge them into others: the options, and what they make of a class table."""
