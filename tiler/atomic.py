"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME_BYTES = 100


def hidden_name(final: Path) -> Path:
    """Return a hidden name in the same folder, used by nobody else and short enough for any file system."""
    stem = os.fsencode(final.name)[:_NAME_BYTES].decode(errors="ignore")
    return final.with_name(f".{stem}.{os.getpid()}-{secrets.token_hex(4)}.part")


@contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """Yield a hidden name to write to; what stands there takes the final name if the block ends well."""
    temporary = hidden_name(final)
    try:
        yield temporary
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
