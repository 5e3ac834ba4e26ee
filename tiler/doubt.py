"""What makes a result doubtful: said in the log, in the records and in the tags of the masks themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "suspect", "not placed", "stretched", "far from scale", "mask not read", "one value", "empty", "low confidence"
]
"""`suspect`: GDAL complained of pixels that it decoded all the same. `not placed`: a place was asked for, and the image
does not say well enough where it lies. `stretched`: the range of values was guessed from the file. `far from scale`:
the model was trained on ground of another resolution. `mask not read`: a file beside it marks
pixels as invalid, and is not read. `one value`: all valid pixels are the same. `empty`: no pixel
is valid. `low confidence`: of too many labels the network is not sure; known only where confidence is written."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind, in the order in which people read of them."""
OF_PLACE: frozenset[Kind] = frozenset({"not placed", "far from scale"})
"""Kinds that headers and options tell, before any pixel is read."""
DOUBTS_KEY = "NOSEAM_DOUBTS"
"""Tag of a mask: what makes it doubtful, a list in JSON of pairs of kind and reason."""
JUDGED_GSD_KEY = "NOSEAM_JUDGED_GSD_M"
"""Tag of the ground sample distance by which the scale was judged, metres; absent where it could not be."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that makes a result doubtful."""

    kind: Kind
    """What is doubtful."""
    why: str
    """Why, in full."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}"


def doubt_tags(doubts: Iterable[Doubt]) -> dict[str, str]:
    """Return the tags that tell doubts, none where there are none; `read_doubts` is the inverse."""
    pairs = [(doubt.kind, doubt.why) for doubt in doubts]
    return {DOUBTS_KEY: json.dumps(pairs)} if pairs else {}


def read_doubts(tags: Mapping[str, str]) -> tuple[Doubt, ...]:
    """Return the doubts that the tags of a mask tell; those that cannot be understood are left out."""
    try:
        pairs = [(str(kind), str(why)) for kind, why in json.loads(tags.get(DOUBTS_KEY, "[]"))]
    except (ValueError, TypeError):
        return ()
    return tuple(Doubt(known, why) for kind, why in pairs for known in KINDS if kind == known)
