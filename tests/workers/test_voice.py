"""Workers tell messages of the log, and now and then how far they are."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from segment.workers.quiet import Heard
from segment.workers.voice import Voice, repeat


def test_messages_of_noseam_are_sent_from_a_level_on() -> None:
    sent: list[dict[str, Any]] = []
    voice = Voice(sent.append, logging.INFO)
    logging.getLogger("tiler.source").info("strange %s", "colours")
    logging.getLogger("tiler.source").debug("not wanted")
    logging.getLogger("rasterio").error("not ours")
    try:
        raise ValueError("no such band")
    except ValueError:
        logging.getLogger("segment.run").warning("failed", exc_info=True)
    voice.close()
    logging.getLogger("tiler.source").info("too late")
    (first, second) = (event["log"] for event in sent)
    assert first == ["tiler.source", logging.INFO, "strange colours", ""]
    assert second[:3] == ["segment.run", logging.WARNING, "failed"]
    assert second[3].endswith("ValueError: no such band")


def test_pixels_are_told_once_a_second_and_counted_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("segment.workers.voice.time.monotonic", lambda: now[0])
    sent: list[dict[str, Any]] = []
    voice = Voice(sent.append, logging.WARNING)
    with voice.telling(7) as first, voice.telling(8) as second:
        for _ in range(10):
            first(5)
            second(1)
            now[0] += 0.25
        assert voice.pixels(7) == 50
    voice.close()
    told = [event["pixels"] for event in sent if "pixels" in event]
    assert told == [[[7, 25], [8, 4]], [[7, 45], [8, 8]]]
    assert [event for event in sent if "pixels" not in event] == [
        {"begun": 7},
        {"begun": 8},
        {"ended": 8},
        {"ended": 7},
    ]


def test_dask_tells_how_a_process_ended(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    logger = logging.getLogger("made by a test")
    logger.propagate = False
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    with caplog.at_level(logging.WARNING):
        logger.info("Worker process 4711 was killed by signal 9")
        logger.info("Worker process 4712 exited with status 1")
        logger.info("Worker process 4713 was killed by unknown signal")
        heard.is_over = True
        logger.info("Worker process 4714 was killed by signal 15")
    assert heard.signals == {4711: 9, 4712: 0, 4713: 0}
    assert [record.getMessage() for record in caplog.records] == [
        "worker process 4711 was ended by signal 9; another takes its place",
        "worker process 4712 ended with exit status 1; another takes its place",
        "worker process 4713 was ended by unknown signal; another takes its place",
    ]


def test_messages_are_logged_again_with_the_name_of_their_worker(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        repeat({"log": ["tiler.source", logging.DEBUG, "not wanted", ""]}, "worker 1")
        repeat({"log": ["tiler.source", logging.WARNING, "odd 100 %", "Traceback ...\nValueError: no"]}, "worker 2")
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "tiler.source",
        logging.WARNING,
        "worker 2: odd 100 %",
    )
    assert "ValueError: no" in logging.Formatter().format(record)
