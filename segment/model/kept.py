"""What is made from a checkpoint once on a machine, and kept for later runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from platformdirs import user_cache_path


def kept_folder(kind: str) -> Path:
    """Return the folder of one kind of things: in the one that `NOSEAM_CACHE` names, or in the user's cache folder."""
    return Path(os.environ.get("NOSEAM_CACHE") or user_cache_path("noseam")) / kind


def keep(made: Path, kept: Path) -> None:
    """Copy a folder to its name, so that it appears whole. If another run was faster, its folder stays.

    Raises
    ------
    OSError
        If the cache folder cannot be written to.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as beside:
        whole = Path(shutil.copytree(made, Path(beside, "whole")))
        try:
            whole.replace(kept)
        except OSError:
            if not kept.exists():
                raise
