"""Shut off what GDAL can reach beyond the file it is asked for, before GDAL starts; standard library only."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

CACHE_BYTES = 128 * 2**20
SETTINGS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
}
"""No neighbouring file is opened (it can name other files and hosts), nothing is written beside the source, no
address is called, and a truncated PNG is an error."""
DRIVERS = ("VRT", "GTI", "WMS", "WMTS", "WCS", "HTTP", "STACIT", "STACTA", "DAAS", "EEDA", "EEDAI", "PLMOSAIC")
"""Drivers that open other files and hosts, which the content of a file names."""
_AT_START = {
    "GDAL_DRIVER_PATH": "disable",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_CACHEMAX": str(CACHE_BYTES // 2**20),
}


def shut_off(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set GDAL's variables of this process, and of those that it starts, as far as the user has not set them.

    They hold for every GDAL in the process, such as pyogrio's own. GDAL registers its drivers when the first
    dataset is opened or made, so the list of drivers must be set before.
    """
    for name, value in (SETTINGS | _AT_START).items():
        environment.setdefault(name, value)
    _skip(environment, [*_skipped(environment), *DRIVERS])


def allow_vrt(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let GDAL have its driver of virtual rasters after all; no effect once a dataset was opened or made."""
    _skip(environment, [driver for driver in _skipped(environment) if driver != "VRT"])


def _skipped(environment: MutableMapping[str, str]) -> list[str]:
    return environment.get("GDAL_SKIP", "").replace(",", " ").split()


def _skip(environment: MutableMapping[str, str], drivers: list[str]) -> None:
    environment["GDAL_SKIP"] = " ".join(dict.fromkeys(drivers))
