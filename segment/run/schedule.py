"""Hand out the tasks of a run, and take in how they end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from segment.guard.limits import Gate
from segment.record.outcome import Outcome
from segment.run.agenda import Agenda
from segment.run.crew import Crew
from segment.run.task import Ended, Task

_LOOK_S = 1.0
_DRIVES = "look whether its drive and that of the masks answer, then give the same command again"


class Schedule:
    """Keep a crew at work on an agenda, as long as a gate is open.

    Parameters
    ----------
    agenda : Agenda
        What is to be done.
    crew : Crew
        Who does it.
    gate : Gate
        Says whether further tasks may begin; it is shut on a full disk and on a stall.
    """

    def __init__(self, agenda: Agenda, crew: Crew, gate: Gate) -> None:
        self._agenda, self._crew, self._gate = agenda, crew, gate
        self._ended: SimpleQueue[Future[Ended | None]] = SimpleQueue()
        self._in_hand: dict[Future[Ended | None], Task] = {}

    def outcomes(self) -> Iterator[list[Outcome]]:
        """Yield how images end, as they end: all at once that ended since the last time.

        Images that the gate kept from beginning have no outcome.

        Raises
        ------
        Exception
            What a crew raises that ends the run, such as `DeviceLostError`.
        """
        self._hand_out()
        while self._in_hand and self._gate.end != "stalled":
            found: list[Outcome] = []
            try:
                if ended := self._wait():
                    for future in ended:
                        found.extend(self._take(future))
                else:
                    self._crew.look()
                    found.extend(self._stalled())
            finally:  # what ended before an error is told too
                if found:
                    yield found
            self._hand_out()

    def _wait(self) -> list[Future[Ended | None]]:
        """Return the tasks that have ended; none where none did for a while."""
        found = []
        with suppress(Empty):
            found.append(self._ended.get(timeout=min(_LOOK_S, self._gate.limits.max_stall_s)))
            while True:
                found.append(self._ended.get_nowait())
        return found

    def _hand_out(self) -> None:
        while len(self._in_hand) < self._crew.most and self._gate.open:
            if (task := self._agenda.next()) is None:
                return
            self._submit(task)

    def _submit(self, task: Task) -> None:
        future = self._crew.submit(task)
        self._in_hand[future] = task
        future.add_done_callback(self._ended.put)

    def _take(self, future: Future[Ended | None]) -> Iterator[Outcome]:
        """Take in how a task ended; hand out the next before anything is written about this one."""
        outcome, follows = self._agenda.ended(self._in_hand.pop(future), future.result())
        if outcome is not None:
            if outcome.disk_full:  # no other image would fare better
                self._gate.shut("disk full")
            self._gate.see(outcome)
        if follows is not None and self._gate.open:
            self._submit(follows)
        self._hand_out()
        if outcome is not None:
            yield outcome

    def _stalled(self) -> Iterator[Outcome]:
        """Give up the images under way if nothing moved for too long."""
        longest = self._gate.limits.max_stall_s
        if self._gate.pulse.still_s() <= longest:
            return
        self._gate.shut("stalled")
        still = self._crew.under_way()
        images = {task.path: task.image for task in self._in_hand.values() if task.path in still}
        for path, image in images.items():
            reason = f"{path}: nothing moved for {longest / 60:g} minutes; does its drive or that of the masks hang?"
            failed = Outcome(path, "failed", reason, image.pixels, relative=image.found.relative, advice=_DRIVES)
            yield replace(failed, seconds=still[path])
