"""A fact about this machine, and how good it is; standard library only."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "look", "bad", "none"]
"""How good a fact is: fine; worth a look; in the way of the work; something that is not there, and need not be."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that the doctor found."""

    part: str
    """Heading under which it stands."""
    name: str
    """What was looked at."""
    value: str
    """What was found."""
    state: State = "ok"
    """How good that is."""
    advice: str = ""
    """What helps; empty where nothing need be done."""


def gigabytes(count: float) -> str:
    """Return a number of bytes as people read it, such as 1.5 GB."""
    unit, size = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6)
    return f"{count / size:.{0 if count / size >= 10 else 1}f} {unit}"


def nameless(text: str) -> str:
    """Return a text in which the home folder is `~` and the user's name, where it is a folder, is `USER`."""
    home = str(Path("~").expanduser())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return text
    return re.sub(rf"(?<=[/\\]){re.escape(user)}(?=[/\\]|$)", "USER", text)
