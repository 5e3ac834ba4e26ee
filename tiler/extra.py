"""Which packages are there: what some steps need beyond noseam's own dependencies, and versions."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from tiler.errors import MissingExtraError

EXTRAS = {
    "cluster": ("several workers", ("distributed",)),
    "photo": ("placing photos", ("pyproj", "defusedxml")),
    "place": ("matching pictures", ("cv2", "pyproj", "defusedxml")),
    "vector": ("writing polygons", ("pyogrio", "pyarrow")),
}
"""The step that needs an extra, and the packages that it brings, by the name of the extra."""


def install_command(extra: str) -> str:
    """Return how to install an extra, in words that end with a command."""
    return f"pip install 'noseam[{extra}]', or in a checkout pip install '.[{extra}]'"


def is_installed(extra: str) -> bool:
    """Return whether all packages of an extra are there; none is imported."""
    return all(find_spec(package) is not None for package in EXTRAS[extra][1])


def require_extra(extra: Literal["cluster", "photo", "place", "vector"]) -> None:
    """Raise unless the packages that an optional step needs can be imported.

    Parameters
    ----------
    extra : str
        The extra of noseam that brings them: `cluster`, `photo`, `place` or `vector`.

    Raises
    ------
    MissingExtraError
        If a package cannot be imported. The message names it, and says how to install it.
    """
    step, packages = EXTRAS[extra]
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtraError(
                f"{step} needs {', '.join(packages)}, and {package} cannot be imported ({error}); "
                f"install them with: {install_command(extra)}"
            ) from error


@cache
def version_of(package: str) -> str:
    """Return the version of a package; `unknown` where it is not installed, as in a bare checkout of noseam."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
