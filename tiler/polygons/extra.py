"""What writing polygons needs beyond noseam's own dependencies."""

from __future__ import annotations

from importlib import import_module

from tiler.errors import MissingExtraError

_PACKAGES = ("shapely", "pyogrio", "pyarrow")


def require_extra() -> None:
    """Raise unless the packages that write polygons are installed.

    Raises
    ------
    MissingExtraError
        Names the missing package and says how to install it.
    """
    for package in _PACKAGES:
        try:
            import_module(package)
        except ImportError as error:
            raise MissingExtraError(
                f"polygons need {', '.join(_PACKAGES)}, and {package} cannot be imported ({error}); "
                "install them with: pip install 'noseam[vector]'"
            ) from error
