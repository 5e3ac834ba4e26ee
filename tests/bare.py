"""A Python that lacks packages which this one has, such as that of a bare machine with a GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from importlib.metadata import distributions
from pathlib import Path

from tests import ROOT

NOT_ON_A_BARE_MACHINE = {
    "dask", "defusedxml", "distributed", "import-linter", "mypy", "noseam", "openvino", "openvino-telemetry", "pyarrow",
    "pyogrio", "pyproj", "rio-cogeo", "ruff",
}  # fmt: skip
"""Packages that a machine with PyTorch and a GPU need not have; noseam itself is not installed there either."""


def bare_python(folder: Path, hidden: Collection[str] = NOT_ON_A_BARE_MACHINE) -> tuple[list[str], dict[str, str]]:
    """Return a command of Python, and its environment, in which packages are missing and the checkout is at hand.

    Parameters
    ----------
    folder : Path
        Gets links to all other packages; it is made.
    hidden : collection of str
        Names of distributions, in lower case.
    """
    folder.mkdir()
    for found in distributions():
        if found.metadata["Name"].lower().replace("_", "-") in hidden:
            continue
        for file in found.files or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (link := folder / top).exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    return [sys.executable, "-S"], {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
