"""Cut a survey and its masks into training crops."""
