"""What is kept on a machine lies where it should, whole, whoever else keeps it at the same time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from segment.model.kept import keep, kept_folder


def test_a_variable_names_the_folder_else_it_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSEAM_CACHE", "/elsewhere")
    assert kept_folder("openvino") == Path("/elsewhere/openvino")
    monkeypatch.setenv("NOSEAM_CACHE", "")
    assert kept_folder("openvino") == user_cache_path("noseam") / "openvino"


def test_a_file_and_a_folder_are_kept_under_their_names(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "part").write_text("a part")
    keep(tmp_path / "made", tmp_path / "kept" / "folder")
    keep(tmp_path / "made" / "part", tmp_path / "kept" / "file")
    assert (tmp_path / "kept" / "folder" / "part").read_text() == (tmp_path / "kept" / "file").read_text() == "a part"
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_of_two_runs_that_keep_a_network_at_once_one_does_and_neither_complains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_late(folder: Path, target: Path) -> Path:
        shutil.copytree(folder, target)
        (target / "model.xml").write_text("of the other run")
        return replace(folder, target)

    replace = Path.replace
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "model.xml").write_text("of this run")
    monkeypatch.setattr(Path, "replace", be_late)
    keep(tmp_path / "made", tmp_path / "kept" / "network")
    assert (tmp_path / "kept" / "network" / "model.xml").read_text() == "of the other run"
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_what_cannot_be_kept_raises_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="kept"):
        keep(tmp_path / "kept", tmp_path / "kept" / "network")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
