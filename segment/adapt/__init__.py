"""Make a model at home in a survey, without labels."""
