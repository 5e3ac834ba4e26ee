"""Masks held against the truth."""
