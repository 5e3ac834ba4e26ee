"""Numbers as text: what is expected is said in words, with its unit and an example."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, get_args

import click

from tiler.option import Asked, bounds

_UNITS = {
    "PX": "pixels", "METRES": "metres", "M2": "square metres", "MINUTES": "minutes", "MB": "megabytes",
    "MP": "megapixels", "TILES": "tiles", "CORES": "cores", "CROPS": "crops", "BATCHES": "batches", "IMAGES": "images",
}  # fmt: skip
"""What a number counts, by the unit that the help shows."""


def number_type(asked: Asked) -> click.ParamType[Any]:
    """Return what reads a number of an option, or each of its numbers."""
    known = asked.option
    low = known.least if known.above is None else known.above
    high = known.most if known.below is None else known.below
    kind: Any = _WholeNumber if _kind(asked) is int else _Number
    made = kind(low, high, min_open=known.above is not None, max_open=known.below is not None)
    made.asked = asked
    return made  # type: ignore[no-any-return]


class _Explained(click.ParamType[Any]):
    """A number whose refusal says what to write instead."""

    asked: Asked

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number that a text stands for."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{expected(self.asked)} expected{self._example(str(value))}; '{value!s:.80}' found", param, ctx)

    def _example(self, text: str) -> str:
        """Return such as 2000 for 2000px, and the default for a text that is no number in this unit."""
        said = re.fullmatch(r"\s*([-+]?\d+([.,]\d+)?)\s*(\w*)\s*", text, re.ASCII)
        if said is not None and self.asked.option.unit.lower().startswith(said[3].lower()):
            with suppress(click.BadParameter):
                return f", such as {super().convert(said[1].replace(',', '.'), None, None):.10g}"
        return f", such as {self.asked.default:.10g}" if isinstance(self.asked.default, (int, float)) else ""

    def _describe_range(self) -> str:
        """Return the bounds for the help, in the words of the messages."""
        return bounds(self.asked.option).strip()


class _WholeNumber(_Explained, click.IntRange):
    """A whole number."""


class _Number(_Explained, click.FloatRange):
    """A number."""


def expected(asked: Asked) -> str:
    """Return in words what number an option takes, such as a whole number of pixels from 1."""
    unit = asked.option.unit
    what = "a whole number" if _kind(asked) is int else "a fraction" if unit == "FRACTION" else "a number"
    return f"{what}{f' of {_UNITS[unit]}' if unit in _UNITS else ''}{bounds(asked.option)}"


def _kind(asked: Asked) -> Any:
    return (get_args(asked.kind) or (asked.kind,))[0]
