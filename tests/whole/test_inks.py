"""A picture in the inks of a printing press is refused, and what the refusal says helps."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.make import noise, write_tif
from tests.models import checkpoint_folder
from tests.runs import noseam
from tiler.grid.tiling import Tiling


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Return a folder with one picture of 16 bits whose channels are called cyan, magenta, yellow and black."""
    folder = tmp_path / "survey"
    folder.mkdir()
    inks = np.asarray(Image.fromarray(noise(40, 50, 3)).convert("CMYK")).transpose(2, 0, 1)
    write_tif(folder / "cmyk.tif", inks.astype("uint16") * 257, photometric="cmyk")
    return folder


@pytest.mark.parametrize("options", [(), ("--channels", "1,2,3")])
def test_a_tiff_of_inks_is_refused_whatever_channels_are_named(
    survey: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    model = checkpoint_folder(tmp_path / "model", classes=3, tiling=Tiling(64, 64, 0.25))
    result = noseam("segment", survey, "--out", tmp_path / "out", "--model", model, *options)
    assert result.exit_code == 3
    assert "cmyk.tif: colours are stored as CMYK; expected RGB, grey or a palette; save it as RGB" in result.stderr
    assert "--channels" not in result.stderr
    assert not list((tmp_path / "out").glob("*_label*"))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_command_of_the_refusal_makes_the_picture_readable(survey: Path, bits: int) -> None:
    if bits == 8:
        Image.fromarray(noise(40, 50, 3)).convert("CMYK").save(survey / "cmyk.tif", compression="tiff_lzw")
    said = noseam("plan", survey).stdout
    words = shlex.split(said[said.index("python -c") : said.index("\n", said.index("python -c"))])
    subprocess.run([sys.executable, *words[1:]], cwd=survey, check=True)
    (survey / "cmyk.tif").unlink()
    assert np.abs(np.asarray(Image.open(survey / "rgb.tif")).astype(int) - noise(40, 50, 3)).max() <= 3
    assert "1 of 50 x 40 px" in noseam("plan", survey).stdout
