"""The user's cache folder: what is dear to make is made once on a machine, and kept there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from platformdirs import user_cache_path


def kept_folder(kind: str) -> Path:
    """Return the folder that holds what is kept of a kind; it need not exist.

    Parameters
    ----------
    kind : str
        What it holds, such as `openvino`. Where the variable `NOSEAM_CACHE` names a folder, it lies there; else in the
        user's cache folder.
    """
    return Path(os.environ.get("NOSEAM_CACHE") or user_cache_path("noseam")) / kind


def keep(made: Path, kept: Path) -> None:
    """Copy a file or a folder to its name, so that it appears whole. If another run was faster, its own stays.

    Parameters
    ----------
    made : Path
        A file or a folder anywhere.
    kept : Path
        Its name, such as in a `kept_folder`. The folder that holds it is made if it is not there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as beside:
        whole = Path(beside, "whole")
        if made.is_dir():
            shutil.copytree(made, whole)
        else:
            shutil.copy2(made, whole)
        try:
            whole.replace(kept)
        except OSError:
            if not kept.exists():
                raise
