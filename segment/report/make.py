"""Make the report of an output folder: the previews that are missing, what it says, its pages."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from segment.errors import RecordError
from segment.guard.lock import lock_file
from segment.record.begun import Begun
from segment.report.areas import class_table
from segment.report.collect import collect
from segment.report.missing import make_missing, without_previews
from segment.report.page import write_pages
from segment.report.standing import Standing, read_folder
from tiler.files.aside import make_aside
from tiler.files.previews import REPORT, images_folder
from tiler.words import counted

_PAGE = "index.html"
_log = logging.getLogger(__name__)


def make_report(out: Path, evaluation: Path | None, *, jobs: int, advance: Callable[[int, int], None]) -> Path | None:
    """Write the report of an output folder; return its page, or None where no image was ever planned there.

    Parameters
    ----------
    out : Path
        The output folder.
    evaluation : Path or None
        See `read_evaluation`.
    jobs : int
        Threads that make previews which no run has made.
    advance : callable
        Called with how many of those are made, and how many are missing.

    Raises
    ------
    FolderInUseError
        If another process writes this report.
    RecordError
        If a record cannot be read, or the report cannot be written.
    """
    found = read_folder(out)
    images = found.images
    if not images:
        return None
    found = replace(found, runs=tuple(map(_as_of_now, found.runs)))
    classes = class_table(out, images)
    try:
        folder = make_aside(out / REPORT)
        with lock_file(folder / _PAGE):
            if missing := without_previews(out, images):
                _log.info("%s: making the previews of %s", folder, counted(len(missing), "image"))
                make_missing(out, missing, classes, jobs=jobs, advance=advance)
            _remove_others(out, (*images, *found.gone))
            return write_pages(collect(out, found, classes, evaluation), folder)
    except OSError as error:
        raise RecordError(f"{out}: the report cannot be written: {error.strerror or error}") from error


def _as_of_now(run: Begun) -> Begun:
    """Return a run as ended now where it is that of this process, which makes the report as the last it does."""
    ours = run.ended is None and run.pid == os.getpid() and run.host == platform.node()
    return replace(run, ended=datetime.now(UTC)) if ours else run


def _remove_others(out: Path, images: Sequence[Standing]) -> None:
    """Remove previews of images that have no masks any more; what cannot be removed stays."""
    files = [each for image in images if (each := image.previews(out))]
    kept = {path for each in files for path in (each.photo, each.thumb, each.layers)}
    for path in images_folder(out).rglob("*"):
        if path not in kept and not path.is_dir() and not path.name.startswith("."):
            with suppress(OSError):
                path.unlink()
