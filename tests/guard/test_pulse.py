"""A process that does nothing for too long ends, whatever hangs in it."""

from __future__ import annotations

import sys

import pytest

from tests.runs import start


@pytest.mark.parametrize(("closed", "said"), [("", "does a drive hang?"), ("import os; os.close(2); ", "")])
def test_a_process_that_hangs_ends_though_nobody_listens(closed: str, said: str) -> None:
    code = (
        f"{closed}import threading; from segment.guard.pulse import Pulse, giving_up\n"
        "with giving_up(Pulse(), 0.2, 3): threading.Event().wait()"
    )
    with start([sys.executable, "-c", code]) as process:
        try:
            _, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 3, stderr
    assert said in stderr
