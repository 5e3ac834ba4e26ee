"""What noseam may write and delete in a folder of crops, which a stranger may have made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from tiler.errors import OutputExistsError

IMAGES, MASKS, RECORDS = "images", "masks", ".sources"
"""Folders below the output folder: images of crops, their masks, and one record per source."""
_OWN_HIDDEN = ".noseam"
"""Start of the names of hidden files that a run puts into its output folder first, such as its lock."""


def refuse_foreign(out: Path) -> None:
    """Raise unless an output folder is new, is empty, or was made by noseam crop.

    The last may come from a stranger. No folder in it may be a link that leads outside, because crops would be written
    and deleted there.

    Parameters
    ----------
    out : Path
        The folder; may itself be a link.

    Raises
    ------
    OutputExistsError
        If `out` is a file, holds what noseam crop did not write, or holds a folder that leads outside.
    """
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; expected a folder")
    if out.exists() and not (out / RECORDS).is_dir() and any(map(_is_foreign, out.iterdir())):
        raise OutputExistsError(f"{out} holds files that noseam crop did not write; choose a new or empty folder")
    _refuse_ways_out(out)


def check_name(name: object, kind: str) -> str:
    r"""Return the name of a crop's file, if it is one.

    The name may come from a stranger. So it must stay below its folder on every system: on Windows `..\` leads up
    too, and `C:` to another drive.

    Parameters
    ----------
    name : object
        What a record says.
    kind : str
        The folder that the file must lie in: `IMAGES` or `MASKS`.

    Raises
    ------
    ValueError
        If the name is no text, no file below that folder, or a text that no file can be called.
    """
    if not isinstance(name, str):
        raise ValueError(f"the name of a file expected, {name!r} found")
    top, *below = PureWindowsPath(name).parts or ("",)  # splits at both kinds of slashes
    if top != kind or not below or any(part.strip() == ".." for part in below) or "\0" in name:
        raise ValueError(f"a file below {kind} expected, {name!r} found")
    os.fsencode(name)  # what no file can be called raises a UnicodeError, which is a ValueError
    return name


def remove_files(out: Path, names: Iterable[str]) -> None:
    """Remove crops, given by their names relative to the output folder; those that are gone already do not matter."""
    for name in names:
        (out / name).unlink(missing_ok=True)


def remove_empty_folders(out: Path) -> None:
    """Remove the folders of crops that are empty. Call it only while no source is being cut."""
    for kind in (IMAGES, MASKS):
        for path, _, _ in os.walk(out / kind, topdown=False):
            with suppress(OSError):  # not empty
                Path(path).rmdir()


def _is_foreign(path: Path) -> bool:
    return not path.name.startswith(_OWN_HIDDEN)


def _refuse_ways_out(out: Path) -> None:
    top = out.resolve()
    for parent, folders, _ in os.walk(out):
        for folder in folders:
            path = Path(parent, folder)
            if not (real := path.resolve()).is_relative_to(top):
                raise OutputExistsError(
                    f"{path} leads to {real}, outside {out}; expected crops within one folder: "
                    "remove the link, or choose another folder"
                )
