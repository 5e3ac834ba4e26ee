"""Folders of noseam's own in an output folder, which hold pictures that are neither photos nor masks."""

from __future__ import annotations

from pathlib import Path

ASIDE = ".noseam.aside"
"""Hidden file in such a folder. Walks pass over a folder that holds it, so that nothing in it counts as a photo."""


def make_aside(folder: Path) -> Path:
    """Make a folder where it is not there, with the mark; return it.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ASIDE).touch()
    return folder


def is_aside(folder: Path) -> bool:
    """Return whether a folder bears the mark."""
    return (folder / ASIDE).exists()
