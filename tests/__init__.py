"""The tests, by the rooms of what they test; `whole` holds runs of the whole program."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout."""
