"""The licence of a training's base, as far as it is known, and what a model card says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from segment.model.checkpoint import BUNDLED_BY_SHORT_NAME, BUNDLED_MODELS
from segment.model.presets import Size

_CARD = "README.md"
_LONGEST_CARD = 2**20
_NOT_COMMERCIAL = re.compile(r"(^|[-_ .])nc([-_ .]|$)|non-?commercial|nvidia|research[- ]only", re.IGNORECASE)
_PLAIN = {
    "license": r"[\w.+-]{1,64}",
    "license_name": r"[\w .,()+-]{1,100}",
    "license_link": r"https?://[^\s\"'<>`]{1,200}",
}
_NO_OTHER = "no other model's licence bears on it"
_NO_USE = "licence that does not allow commercial use", "licence does not allow commercial use"
_NVIDIA = {
    "name": "other",
    "title": "NVIDIA Source Code License for SegFormer",
    "link": "https://github.com/NVlabs/SegFormer/blob/master/LICENSE",
}


@dataclass(frozen=True, slots=True)
class Licence:
    """What is known of the licence of a base."""

    kind: Literal["random", "restricted", "stated", "unknown"] = "unknown"
    """`random`: only random weights or scenes stand behind it. `restricted`: it allows no commercial use. `stated`: the
    base says which it has."""
    name: str = ""
    """The word of the hub for it, such as apache-2.0."""
    title: str = ""
    """Its own name, where the hub has no word for it."""
    link: str = ""
    """Where its text stands."""

    def front_matter(self) -> str:
        """Return the lines at the head of a card: the licence if that of the base leaves no choice, or a remark."""
        if self.kind == "restricted":
            more = {"license_name": self.title, "license_link": self.link}
            lines = [f'{key}: "{text}"' for key, text in more.items() if text]
            return "\n".join([f"license: {self.name or 'other'}", *lines])
        base = {"random": "", "stated": f"that of the base ({self.name}) and "}.get(self.kind, "that of the base and ")
        return f"# license: yours to choose; mind {base}those of the images"

    def sentence(self, base: str) -> str:
        """Return what a card says of the licence of its base."""
        if self.kind == "random" and base in get_args(Size):
            return f"It was trained from random weights, so {_NO_OTHER}."
        if self.kind == "random":
            own = f" and is under {self.name}" if self.name else ""
            return f"Its base was trained from random weights{own}, so {_NO_OTHER}."
        if self.kind == "restricted":
            named = ", ".join(filter(None, (self.title or self.name, self.link)))
            return f"**Non-commercial: its base has a {_NO_USE[0]} ({named}), and so has this model.**"
        told = f"Its base says that it is under {self.name}. " if self.kind == "stated" else ""
        return (
            f"{told}The licence of its base bears on it: many SegFormers grew from NVIDIA's, which are not for "
            "commercial use."
        )


def licence_of(base: str, folder: Path | None) -> Licence:
    """Return what is known of the licence of a base.

    Parameters
    ----------
    base : str
        What the user called it.
    folder : Path or None
        Where it is; None: it is a size with random weights.
    """
    if folder is None:
        return Licence("random")
    if base.startswith("nvidia/"):
        return Licence("restricted", **_NVIDIA)
    text, said = _card(folder)
    name, title, link = (said.get(key, "") for key in _PLAIN)
    if any(phrase in text for phrase in _NO_USE) or any(map(_NOT_COMMERCIAL.search, (name, title, link))):
        return Licence("restricted", name or "other", title, link)
    if _NO_OTHER in text or base in {*BUNDLED_MODELS, *BUNDLED_BY_SHORT_NAME}:
        return Licence("random", name)
    return Licence("stated", name) if name and name != "other" else Licence()


def _card(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the text of a folder's card and the licence in its head, as far as these can be read and are harmless."""
    from huggingface_hub import metadata_load

    path = folder / _CARD
    found: Any = None
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST_CARD:
            return "", {}
        text = path.read_text("utf-8", errors="replace")
        found = metadata_load(path)
    except Exception:  # YAML's errors have no root but this; a card that cannot be read says nothing
        return "", {}
    values = {key: str(found.get(key, "")) for key in _PLAIN} if isinstance(found, dict) else {}
    return text, {key: value for key, value in values.items() if re.fullmatch(_PLAIN[key], value)}
