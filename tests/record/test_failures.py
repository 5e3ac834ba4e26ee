"""What failed stands in a table with its reason and what helps; without failures there is no table."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from segment.errors import RecordError
from segment.record.failures import write_failures
from segment.record.outcome import Outcome


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def failed(path: str, reason: str, advice: str = "copy it again") -> Outcome:
    return Outcome(Path(path), "failed", reason, advice=advice)


def test_failures_are_sorted_and_name_the_file_once(tmp_path: Path) -> None:
    path = tmp_path / "failures.csv"
    write_failures(path, [failed("/s/b.jpg", "/s/b.jpg: cut, at 7"), failed("/s/a.jpg", 'the "disk" is full', "")])
    assert rows_of(path) == [
        ["path", "reason", "advice"],
        ["/s/a.jpg", 'the "disk" is full', ""],
        ["/s/b.jpg", "cut, at 7", "copy it again"],
    ]


def test_the_table_goes_when_nothing_failed(tmp_path: Path) -> None:
    path = tmp_path / "failures.csv"
    write_failures(path, [])
    write_failures(path, [failed("/s/b.jpg", "why")])
    assert path.exists()
    write_failures(path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["=1+1", "-x", "+x", "@x", " =x"])
def test_no_text_is_a_formula(tmp_path: Path, text: str) -> None:
    write_failures(tmp_path / "failures.csv", [failed("/s/a.jpg", text, text)])
    assert rows_of(tmp_path / "failures.csv")[1][1:] == [f"'{text}", f"'{text}"]


def test_a_name_that_is_no_text_and_lines_within_a_reason_stay_on_one_line(tmp_path: Path) -> None:
    name = os.fsdecode(b"/s/\xff.jpg")
    write_failures(tmp_path / "failures.csv", [failed(name, "two\nlines \x1b[31m")])
    assert rows_of(tmp_path / "failures.csv")[1:] == [["/s/\\udcff.jpg", "two\\nlines \\x1b[31m", "copy it again"]]


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "failures.csv").mkdir()
    for failures in ([failed("/s/a.jpg", "why")], []):
        with pytest.raises(RecordError, match=r"failures\.csv: cannot be written: Is a directory"):
            write_failures(tmp_path / "failures.csv", failures)
    assert [path.name for path in tmp_path.iterdir()] == ["failures.csv"]
