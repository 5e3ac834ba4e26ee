"""What was expected before it was measured: a number for a row, by section and name; see the rows of a run."""

from __future__ import annotations

PREDICTED: dict[tuple[str, str], float] = {}
