"""What CVAT's formats ask of names and colours, and its own code where it is at hand."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest

from segment.errors import RequestError
from segment.review.cvat import label_map
from tests import ROOT
from tests.review.surveys import survey
from tests.runs import noseam, run
from tiler.classes import ClassTable


def test_no_name_breaks_the_label_map_and_no_class_is_black() -> None:
    classes = ClassTable(("a:b", "# c", " d "), ((0, 0, 0), (1, 2, 3), (4, 5, 6)))
    found = label_map(classes)
    assert list(found) == ["a;b", "c", "d"]
    assert list(found.values())[1:] == [(1, 2, 3), (4, 5, 6)]
    assert next(iter(found.values())) not in {(0, 0, 0), (1, 2, 3), (4, 5, 6)}


def test_names_that_would_be_one_are_refused() -> None:
    with pytest.raises(RequestError, match="two classes would be called 'a;b'"):
        label_map(ClassTable(("a:b", "a;b"), ((0, 0, 0), (1, 2, 3))))


@pytest.mark.skipif(importlib.util.find_spec("datumaro") is None, reason="needs Datumaro, the code of CVAT's formats")
def test_cvats_own_code_takes_the_zip_and_gives_it_back(tmp_path: Path) -> None:
    masks = survey(tmp_path)
    noseam("review", masks, "--export", 4, "--format", "cvat")
    mine, theirs = masks / "review/export-1/cvat.zip", tmp_path / "from-cvat.zip"
    done = run([sys.executable, "-W", "ignore", str(ROOT / "benchmarks/cvat.py"), str(mine), str(theirs)])
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(theirs) as archive:
        assert b"background:0,0,0::" in archive.read("labelmap.txt")
    for archive_path, into in ((mine, "mine"), (theirs, "theirs")):
        result = noseam("review", masks, "--import", archive_path, "--take-unchanged", "--into", tmp_path / into)
        assert result.exit_code == 0, result.output
    for path in sorted((tmp_path / "mine/masks").iterdir()):
        assert path.read_bytes() == (tmp_path / "theirs/masks" / path.name).read_bytes()
