"""What CVAT's formats ask of names and colours, and its own code where it is at hand."""

from __future__ import annotations

import os
import subprocess
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

PYTHON = os.environ.get("CVAT_PYTHON", sys.executable)
"""The Python that has Datumaro; `.ci/cvat` names another one."""
FROM_CVAT = Path(__file__).with_name("from_cvat.zip")
"""What Datumaro 1.13.12 made, by `benchmarks/cvat.py`, of the windows that these tests export."""


def has_datumaro() -> bool:
    """Return whether that Python finds it."""
    ask = "import importlib.util, sys; sys.exit(importlib.util.find_spec('datumaro') is None)"
    return subprocess.run([PYTHON, "-c", ask], check=False).returncode == 0


def test_no_name_breaks_the_label_map_and_no_class_is_black() -> None:
    classes = ClassTable(("a:b", "# c", " d "), ((0, 0, 0), (1, 2, 3), (4, 5, 6)))
    found = label_map(classes)
    assert list(found) == ["a;b", "c", "d"]
    assert list(found.values())[1:] == [(1, 2, 3), (4, 5, 6)]
    assert next(iter(found.values())) not in {(0, 0, 0), (1, 2, 3), (4, 5, 6)}


def test_names_that_would_be_one_are_refused() -> None:
    with pytest.raises(RequestError, match="two classes would be called 'a;b'"):
        label_map(ClassTable(("a:b", "a;b"), ((0, 0, 0), (1, 2, 3))))


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Return masks of which four windows were exported for CVAT."""
    masks = survey(tmp_path)
    result = noseam("review", masks, "--export", 4, "--format", "cvat")
    assert result.exit_code == 0, result.output
    return masks


def taken(masks: Path, archive: Path, into: Path) -> dict[str, bytes]:
    """Return the masks that come back of an archive, by name."""
    result = noseam("review", masks, "--import", archive, "--take-unchanged", "--into", into)
    assert result.exit_code == 0, result.output
    assert "4 windows of 2 images taken" in result.output
    assert "people changed 0.0%" in result.output
    return {path.name: path.read_bytes() for path in (into / "masks").iterdir()}


def test_what_datumaro_exported_once_comes_back_the_same(masks: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(FROM_CVAT) as archive:
        assert b"background:0,0,0::" in archive.read("labelmap.txt")
    mine = taken(masks, masks / "review/export-1/cvat.zip", tmp_path / "mine")
    assert len(mine) == 4
    assert taken(masks, FROM_CVAT, tmp_path / "theirs") == mine


@pytest.mark.skipif(not has_datumaro(), reason="needs Datumaro, the code of CVAT's formats")
def test_cvats_own_code_takes_the_zip_and_gives_it_back(masks: Path, tmp_path: Path) -> None:
    mine, theirs = masks / "review/export-1/cvat.zip", tmp_path / "from-cvat.zip"
    done = run([PYTHON, "-W", "ignore", str(ROOT / "benchmarks/cvat.py"), str(mine), str(theirs)])
    assert done.returncode == 0, done.stderr
    assert "4 pictures with 11 masks, imported and exported as CVAT does" in done.stdout
    with zipfile.ZipFile(theirs) as found, zipfile.ZipFile(FROM_CVAT) as once:
        assert found.read("labelmap.txt") == once.read("labelmap.txt")
        assert sorted(found.namelist()) == sorted(once.namelist())
    assert taken(masks, theirs, tmp_path / "theirs") == taken(masks, mine, tmp_path / "mine")
