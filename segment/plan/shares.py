"""Which shard takes which input, so that all shards have about as many pixels.

The shard that begins first shares out the survey as it stands then, and keeps that in the output folder. All others go
by it. An input that came later goes by its name alone. So every input belongs to one shard, whichever shard walked the
survey when. The run of the whole survey takes what is left of it; once that has ended, the next shards share out anew.
"""

from __future__ import annotations

import heapq
import json
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from segment.errors import RecordError
from segment.plan.shard import WHOLE, Shard
from segment.plan.survey import SurveyPlan
from tiler.files.atomic import hidden_folder, hidden_name

_PLACES, _FILE = ".noseam.shards-", "shares.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shares:
    """Which of several shards takes which input."""

    count: int
    """Number of shards."""
    of: Mapping[str, int]
    """The shard, from 1, of each input that was there when the survey was shared out, by its place below its source."""

    def takes(self, shard: Shard, path: Path) -> bool:
        """Return whether an input belongs to a shard of this count, by its place below its source."""
        taker = self.of.get(path.as_posix())
        return shard.takes(path) if taker is None else taker == shard.index


def share_out(pixels: Mapping[str, int], count: int) -> Shares:
    """Return shares whose sums of pixels differ by no more than the pixels of the largest input.

    The largest input goes first, each to the shard with the fewest pixels so far. Inputs without pixels, which cannot
    be segmented, are dealt out in turn. The order of `pixels` does not matter.

    Parameters
    ----------
    pixels : mapping of str to int
        Pixels of each input, by its place below its source.
    count : int
        Number of shards.
    """
    of: dict[str, int] = {}
    turn = cycle(range(1, count + 1))
    sums = [(0, index) for index in range(1, count + 1)]
    for size, path in sorted((-size, path) for path, size in pixels.items()):
        if size:
            fewest, of[path] = sums[0]
            heapq.heapreplace(sums, (fewest - size, of[path]))
        else:
            of[path] = next(turn)
    return Shares(count, of)


def take_shard(survey: SurveyPlan, shard: Shard, out: Path, *, settle: bool = False) -> SurveyPlan:
    """Return the part of a planned survey that a shard takes; the whole survey as it is.

    Parameters
    ----------
    survey : SurveyPlan
        All of it.
    shard : Shard
        Which part.
    out : Path
        The output folder. How it was shared out for other shards counts.
    settle : bool
        Whether that may be written there now, where it was not shared out before. The caller holds the folder.

    Raises
    ------
    RecordError
        If what stands there cannot be read or written.
    """
    if shard == WHOLE:
        return survey
    shares = _read(out, shard.count)
    if shares is None:
        shares = share_out(_pixels(survey), shard.count)
        shares = _settle(out, shares) if settle else shares
    images = tuple(image for image in survey.images if shares.takes(shard, image.found.relative))
    refused = tuple(entry for entry in survey.refused if shares.takes(shard, entry.relative))
    elsewhere = survey.inputs - len(images) - len(refused)
    return replace(survey, images=images, refused=refused, elsewhere=elsewhere, gone={})


def shared_inputs(out: Path, count: int) -> Mapping[str, int]:
    """Return the shard of each input as it was shared out; nothing where it was not, or where it cannot be read."""
    with suppress(RecordError):
        return shares.of if (shares := _read(out, count)) else {}
    return {}


def forget_shares(out: Path) -> None:
    """Let the next shards share out the survey anew. The caller holds the folder, and all images are looked at."""
    for place in out.glob(f"{_PLACES}*"):
        gone = hidden_name(place)
        with suppress(OSError):
            place.rename(gone)
            shutil.rmtree(gone)


def _pixels(survey: SurveyPlan) -> dict[str, int]:
    sizes = {entry.relative.as_posix(): 0 for entry in survey.refused}
    return sizes | {image.found.relative.as_posix(): image.pixels for image in survey.images}


def _read(out: Path, count: int) -> Shares | None:
    """Return how a survey was shared out; None where it was not."""
    path = out / f"{_PLACES}{count}" / _FILE
    try:
        found: Any = json.loads(path.read_bytes())["inputs"]
        if not all(type(index) is int and 1 <= index <= count for index in found.values()):
            raise ValueError(f"a shard from 1 to {count} expected")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{path}: damaged, so which shard takes which image is not known: {error}; run once without --shard, which "
            f"takes all that is left, or remove {path.parent} and give all {count} shards again"
        ) from error
    return Shares(count, found)


def _settle(out: Path, shares: Shares) -> Shares:
    """Keep shares in an output folder, and return them; those of another run, if that was first.

    They are kept in a folder of their own, because a folder that is not empty is never replaced by another, on any
    file system, and because it appears whole.
    """
    place = out / f"{_PLACES}{shares.count}"
    try:
        with hidden_folder(place) as folder:
            with (folder / _FILE).open("x", encoding="ascii") as file:
                json.dump({"inputs": shares.of}, file)
                file.flush()
                os.fsync(file.fileno())
            try:
                folder.rename(place)
            except OSError:
                if not place.is_dir():
                    raise
    except OSError as error:
        raise RecordError(f"{place}: cannot be written: {error.strerror or error}") from error
    stands = _read(out, shares.count)
    if stands is None:
        raise RecordError(f"{place}: it was removed while this run began; give the same command again")
    if stands != shares:
        _log.info("another run of these shards shared out the survey; this one goes by that")
    return stands
