"""Parts of a survey, for several runs at the same time."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from segment.errors import ShardError

_FORM = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})", re.ASCII)

_MARK = re.compile(r"\.([1-9]\d*)-of-([1-9]\d*)(?=\.|$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a survey; every input belongs to exactly one, see `segment.plan.shares`."""

    index: int = 1
    """Which part, from 1."""
    count: int = 1
    """Number of parts."""
    origin: str = field(default="", compare=False)
    """What said so, where that was not the user."""

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ShardError(f"a shard I/N with 1 <= I <= N expected, such as 2/4; {self} found")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def takes(self, path: Path) -> bool:
        """Return whether an input belongs to this part by its name alone, whatever else is in the survey."""
        name = hashlib.sha256(path.as_posix().encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(name) % self.count == self.index - 1

    def mark(self, name: str) -> str:
        """Return the name of this part's own copy of a file. The whole survey uses the name as it is."""
        if self.count == 1:
            return name
        stem, dot, suffix = name.rpartition(".")
        return f"{stem}.{self.index}-of-{self.count}{dot}{suffix}"


def marked(name: str) -> Shard:
    """Return the shard whose own copy of a file has this name; the whole survey where no shard marked it."""
    found = _MARK.search(name)
    return WHOLE if found is None else Shard(int(found[1]), int(found[2]))


def marks_of(name: str) -> str:
    """Return the pattern of the names that shards give to their own copies of a file."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.*-of-*{dot}{suffix}"


WHOLE = Shard()
"""The whole survey."""


def parse_shard(text: str) -> Shard:
    """Return the shard that a text such as `2/4` means.

    Raises
    ------
    ShardError
        If the text is not I/N with 1 <= I <= N.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ShardError(f"a shard I/N with 1 <= I <= N expected, such as 2/4, or auto; {text!r:.40} found")
    return Shard(int(found[1]), int(found[2]))
