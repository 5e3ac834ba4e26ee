"""Examine this machine: facts part by part, and a trial of each engine; what is broken costs itself alone."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segment.doctor.fact import Fact
from segment.doctor.request import DoctorRequest

if TYPE_CHECKING:
    from segment.doctor.verdict import Verdict

PARTS = (("program", "packages"), ("program", "formats"), ("machine", "machine"), ("places", "places"))
"""Heading and module of what is looked at."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found."""

    facts: tuple[Fact, ...]
    """What is there, in order."""
    engines: tuple[Verdict, ...]
    """What came of each engine and precision."""

    @property
    def works(self) -> bool:
        """Whether any engine can segment."""
        return any(verdict.trial.works for verdict in self.engines)


def examine(request: DoctorRequest, progress: Callable[[int, int], None] = lambda done, total: None) -> Examination:
    """Return what this machine has, and what its engines compute.

    Modules are imported late, here alone in this room: one that does not load is a finding, and the others go on.
    """
    _log.info("looking at what is installed")
    found: list[Any] = []
    for part, module in PARTS:
        found += _guarded(part, module, "facts")
    found += _guarded("places", "places", "hub", asked=request.network)
    found += _guarded("engines", "verdict", "verdicts", progress)
    facts = tuple(each for each in found if isinstance(each, Fact))
    return Examination(facts, tuple(each for each in found if not isinstance(each, Fact)))


def _guarded(part: str, module: str, function: str, *args: Any, **known: Any) -> list[Any]:
    """Return what a function of a module of this room yields, and last, if it raises, why."""
    found: list[Any] = []
    try:
        found.extend(getattr(importlib.import_module(f"segment.doctor.{module}"), function)(*args, **known))
    except Exception as error:  # whatever is wrong with a machine
        _log.debug("%s", module, exc_info=True)
        found.append(Fact(part, module, f"cannot be told: {type(error).__name__}: {error}", "bad",
                          "pip install -c constraints.txt --force-reinstall . in the checkout"))  # fmt: skip
    return found
