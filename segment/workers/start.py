"""How a worker process of this machine starts: dask loads this module in it before the worker itself."""

from __future__ import annotations

import logging
import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave signals and messages to the run.

    Ctrl-C goes to all processes of a terminal, and the run alone answers. What tornado and asyncio say of a worker that
    is ended means nothing to the user.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if logging.getLogger("distributed").level >= logging.CRITICAL:
        for name in ("tornado", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
