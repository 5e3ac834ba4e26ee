"""Where noseam keeps and writes things: cache, working folder, folder for temporary files; and the hub."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from huggingface_hub import constants
from huggingface_hub.utils import get_session

from segment.doctor.fact import Fact, State, gigabytes
from segment.model.kept import kept_folder

PART = "places"
_LITTLE_DISK = 2e9
HUB_ANSWERS_S = 5.0
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def facts() -> Iterator[Fact]:
    """Yield the cache, and what is free where noseam writes."""
    cache = kept_folder("")
    yield _cache(cache)
    yield _free("this folder", Path.cwd(), "--out may name a folder on another disk")
    yield _free("temporary", Path(tempfile.gettempdir()), "the variable TMPDIR names another folder")


def _cache(folder: Path) -> Fact:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    text = f"{folder}, {gigabytes(size)}"
    try:
        place = _nearest(folder)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        advice = "each run converts the network again; let NOSEAM_CACHE name a folder that can be written to"
        return Fact(PART, "cache", f"{text}; cannot be written: {error.strerror or error}", "look", advice)
    free = shutil.disk_usage(place).free
    return Fact(PART, "cache", f"{text}, can be written, {gigabytes(free)} free", *_if_little(free, "free some space"))


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _free(name: str, folder: Path, advice: str) -> Fact:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Fact(PART, name, f"{folder}: {error.strerror or error}", "bad", advice)
    return Fact(PART, name, f"{gigabytes(free)} free", *_if_little(free, advice))


def _if_little(free: float, advice: str) -> tuple[State, str]:
    return ("look", advice) if free < _LITTLE_DISK else ("ok", "")


def hub(*, asked: bool = True) -> Iterator[Fact]:
    """Yield whether the Hugging Face hub answers; it is not asked where the user or a variable says offline."""
    yield _hub(asked=asked)


def _hub(*, asked: bool) -> Fact:
    place = _without_password(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE:
        why = ", ".join(f"{name}={os.environ[name]}" for name in _OFFLINE if os.environ.get(name))
        return Fact(PART, "hub", f"{place} is not asked: offline, because {why or 'its library was told so'}", "none",
                    "only models in a folder or in the hub's cache can be used")  # fmt: skip
    if not asked:
        return Fact(PART, "hub", f"{place} is not asked: --no-network", "none")
    began = time.monotonic()
    if why := _silent(constants.ENDPOINT):
        return Fact(PART, "hub", f"{place} does not answer: {why}", "look",
                    "models in a folder still work, and bundled:demo; behind a proxy set HTTPS_PROXY")  # fmt: skip
    return Fact(PART, "hub", f"{place} answers in {time.monotonic() - began:.1f} s")


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _silent(address: str) -> str:
    """Return why an address does not answer in a few seconds; empty where it does."""
    found = [f"no answer in {HUB_ANSWERS_S:g} s"]

    def ask() -> None:
        try:
            found.insert(0, _status(address))
        except Exception as error:  # the HTTP library's own kinds
            found.insert(0, (str(error).strip() or type(error).__name__).splitlines()[0])

    thread = threading.Thread(target=ask, name="hub", daemon=True)  # a name server that hangs knows no time limit
    thread.start()
    thread.join(HUB_ANSWERS_S + 1)
    return found[0]


def _status(address: str) -> str:
    answer = get_session().head(address, timeout=HUB_ANSWERS_S)
    return "" if answer.status_code < 500 else f"status {answer.status_code}"
