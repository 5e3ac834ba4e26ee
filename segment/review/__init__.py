"""The way back into training: windows that are worth labelling, and labels that people corrected."""
