"""How far processes are that each make an image, seen from the process that waits for them."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_EVERY_S = 0.25
"""Shares are looked up so often."""


@contextmanager
def watched(megapixels: Sequence[float], advance: Callable[[int, int], None]) -> Iterator[Path]:
    """Yield a scratch file in which processes note their shares, see `noter`; tell in the block how far they are.

    Parameters
    ----------
    megapixels : sequence of float
        Size of each image.
    advance : callable
        Called with (megapixels made, megapixels in all): from a thread within the block, where the number has changed,
        and once after it.
    """
    total = max(round(sum(megapixels)), 1)
    ended = threading.Event()
    with tempfile.TemporaryDirectory(prefix="noseam-") as folder:
        path = Path(folder) / "shares"
        np.zeros(len(megapixels), np.float32).tofile(path)

        def tell() -> None:
            told = -1
            while not ended.wait(_EVERY_S):
                done = int(np.dot(np.fromfile(path, np.float32), megapixels))
                if done != told:
                    advance(min(done, total), total)
                    told = done

        teller = threading.Thread(target=tell, name="progress of scenes", daemon=True)
        teller.start()
        try:
            yield path
        finally:
            ended.set()
            teller.join()
    advance(total, total)


def noter(path: Path, index: int) -> Callable[[float], None]:
    """Return what notes the share of an image that is made, 0 to 1, in the scratch file of `watched`."""

    def note(share: float) -> None:
        with path.open("r+b") as file:
            file.seek(4 * index)
            file.write(np.float32(share).tobytes())

    return note
