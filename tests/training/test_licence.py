"""A card says what the licence of its base allows, and fills in a licence only where the base leaves no choice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import metadata_load

from segment.model.checkpoint import DEMO_MODEL, START_MODEL
from segment.training.base import find_licence
from segment.training.licence import Licence, licence_of
from segment.training.request import TrainRequest
from segment.training.train import train
from tests.crop_folder import crop_folder
from tests.models import checkpoint_folder


def card(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("license: cc-by-nc-4.0", Licence("restricted", "cc-by-nc-4.0")),
        (
            "license: other\nlicense_name: nvidia-license\nlicense_link: https://x.org/a",
            Licence("restricted", "other", "nvidia-license", "https://x.org/a"),
        ),
        ("license: mit", Licence("stated", "mit")),
        ("license: other", Licence()),
        ("tags: [a]", Licence()),
        ("license: [a, b]", Licence()),
        ("license: ncsa", Licence("stated", "ncsa")),
        ('license: "mit\\nlicense_name: evil"', Licence()),
        ("license: !!python/object/apply:os.getcwd []", Licence()),
    ],
)
def test_the_head_of_a_card_is_read_and_nothing_in_it_runs(tmp_path: Path, head: str, expected: Licence) -> None:
    assert licence_of("some/base", card(tmp_path, f"---\n{head}\n---\nText.\n")) == expected


@pytest.mark.parametrize("text", ["", "No head.", "---\nlicense: mit\n"])
def test_a_card_without_a_head_says_nothing(tmp_path: Path, text: str) -> None:
    assert licence_of("some/base", card(tmp_path, text)).kind == "unknown"


def test_a_card_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    text = "**Its base is NVIDIA's, whose licence does not allow commercial use.**"
    assert licence_of("some/base", card(tmp_path, f"---\ntags: [a]\n---\n{text}")).kind == "restricted"


def test_a_folder_without_a_card_says_nothing(tmp_path: Path) -> None:
    assert licence_of("some/base", tmp_path) == Licence()


def test_what_is_known_without_a_card(tmp_path: Path) -> None:
    assert find_licence("nano") == Licence("random")
    for bundled in (DEMO_MODEL, START_MODEL, "start"):
        assert find_licence(bundled) == Licence("random", "apache-2.0")
    nvidia = licence_of("nvidia/mit-b0", tmp_path)
    assert nvidia.kind == "restricted"
    assert "NVIDIA Source Code License" in nvidia.front_matter()


def test_a_licence_is_handed_on_from_card_to_card(tmp_path: Path) -> None:
    base = checkpoint_folder(tmp_path / "base", classes=2)
    card(base, "---\nlicense: cc-by-nc-4.0\n---\n")
    request = TrainRequest(
        crops=(crop_folder(tmp_path / "crops"),), out=tmp_path / "out", base=str(base), max_steps=1, input_px=64,
        workers=0, device="cpu",
    )  # fmt: skip
    train(request)
    assert metadata_load(request.out / "README.md")["license"] == "cc-by-nc-4.0"
    assert (
        "**Non-commercial: its base has a licence that does not allow commercial use (cc-by-nc-4.0)"
        in (request.out / "README.md").read_text()
    )
    assert find_licence(str(request.out)) == Licence("restricted", "cc-by-nc-4.0")
    free = replace(request, out=tmp_path / "free", base="nano")
    train(free)
    assert "license" not in metadata_load(free.out / "README.md")
    assert find_licence(str(free.out)) == Licence("random")
