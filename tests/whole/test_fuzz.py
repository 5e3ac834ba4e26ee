"""A parser returns or raises an error of ours for any content of a file; `benchmarks/fuzz.py` tries longer."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file

import cli
from segment.errors import CheckpointError
from segment.model.checkpoint import BUNDLED_MODELS, DEMO_MODEL, describe_checkpoint
from segment.model.weights import weight_files
from tests.crop_folder import crop_folder
from tests.make import GCPS, UTM, noise, write_tif
from tests.photos import POSE, attributes, write_photo, xmp_of
from tiler.classes import read_class_table, write_class_table
from tiler.crops.index import read_crop_index
from tiler.errors import ClassTableError, CropIndexError, GridError, PoseError, TilerError
from tiler.grid.seams import ROWS_KEY, grid_tags, read_grid
from tiler.grid.tiles import plan_grid
from tiler.masks.coverage import Coverage, read_coverage
from tiler.masks.png import png_end, png_head, read_text
from tiler.photo.tags import read_tags
from tiler.source.image import open_image
from tiler.source.raster import read_info
from tiler.source.tiles import read_tiles
from tiler.source.world import read_world

MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEW = settings(MANY, max_examples=60)
GRID = plan_grid((40, 60), scale=1, tile=(64, 64), overlap=(16, 16))


@st.composite
def damaged(draw: st.DrawFn, content: bytes, keep: int = 0) -> bytes:
    """Return the content of a file with bytes changed, added or removed, or its end cut off; the first `keep` stay."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(keep, max(len(found) - 1, keep)))
        stop = at + draw(st.sampled_from((0, 1, 1, 2, 4, 30)))
        found[at:stop] = draw(st.binary(max_size=4) | st.sampled_from((b"\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")))
    return bytes(found[: draw(st.integers(keep, len(found)))] if draw(st.booleans()) else found)


def small_images(folder: Path) -> dict[str, bytes]:
    """Return small files of every kind that GDAL reads for us."""
    Image.fromarray(noise(40, 60, 3)).save(folder / "a.jpg", progressive=True)
    Image.fromarray(noise(40, 60, 3)).quantize(9).save(folder / "a.png")
    write_tif(folder / "a.tif", noise(3, 40, 60), tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    write_tif(folder / "b.tif", noise(1, 40, 60, dtype="uint16"), crs=UTM, gcps=GCPS, nodata=3, compress="lzw")
    write_photo(folder / "b.jpg", orientation=6)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_image(path: str, content: bytes) -> None:
    """Read an image as a run does. Run this in a process of its own, because a bug in GDAL may crash it."""
    file = Path(path)
    file.write_bytes(content)
    with suppress(TilerError):
        info = read_info(file)
        if info.height * info.width < 10**6:
            with open_image(file, value_range=(0, 255)) as image:
                for _ in read_tiles(image, plan_grid(info.shape, scale=1, tile=(64, 64), overlap=(16, 16))):
                    pass


@pytest.fixture(scope="module")
def apart() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@settings(MANY, max_examples=400)
@given(data=st.data())
def test_a_damaged_image_is_read_or_refused_and_crashes_nothing(
    data: st.DataObject, apart: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    if not folder.exists():
        folder.mkdir()
        (folder / "good").mkdir()
        small_images(folder / "good")
    path = data.draw(st.sampled_from(sorted((folder / "good").iterdir())))
    content = data.draw(damaged(path.read_bytes(), keep=2))
    apart.submit(read_image, str(folder / path.name), content).result(timeout=60)


@MANY
@given(
    content=st.binary(max_size=400), head=st.sampled_from((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0+"))
)
def test_random_bytes_after_any_magic_crash_nothing(
    content: bytes, head: bytes, apart: ProcessPoolExecutor, tmp_path: Path
) -> None:
    apart.submit(read_image, str(tmp_path / "a.jpg"), head + content).result(timeout=60)


def table_text() -> st.SearchStrategy[bytes]:
    cells = st.sampled_from(
        ("road", "0", "255", "256", "-1", "9" * 5000, '"', "a\0b", "\x1b[1m", " ", "é", "")
    ) | st.text(max_size=5)
    lines = st.lists(st.lists(cells, max_size=5).map(",".join), max_size=5).map("\n".join)
    return lines.map(lambda text: f"name,r,g,b\n{text}".encode("utf-8", "surrogatepass"))


@MANY
@given(content=st.binary(max_size=200) | table_text() | damaged(b"name,r,g,b\nroad,1,2,3\nroof,4,5,6\n"))
@example(content=b"name,r,g,b\na\0b,1,2,3\n")
def test_a_class_table_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes(content)
    with suppress(ClassTableError):
        classes = read_class_table(path)
        write_class_table(path, classes)
        assert read_class_table(path) == classes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from((10**400, 1e308)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("0123"), inner, max_size=4),
    max_leaves=6,
)
CONFIG = json.loads((BUNDLED_MODELS[DEMO_MODEL] / "config.json").read_text())
PROCESSING = json.loads((BUNDLED_MODELS[DEMO_MODEL] / "preprocessor_config.json").read_text())


def changed(content: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return an object in which some entries, also nested ones, have values of another kind."""
    keys = st.sampled_from(sorted(content))
    inner = {key: changed(value) for key, value in content.items() if isinstance(value, dict)}
    values = st.fixed_dictionaries({}, optional={key: inner.get(key, st.nothing()) | JSON for key in content})
    return st.builds(lambda new, key: {**content, **new} if new else {**content, key: None}, values, keys)


@MANY
@given(config=changed(CONFIG) | JSON, processing=changed(PROCESSING) | JSON)
@example(config={**CONFIG, "id2label": ["a"]}, processing={})
@example(config={**CONFIG, "tiling": {"input_px": 1e999}}, processing={})
@example(config=CONFIG, processing={"size": {"height": 10**400}})
@example(config=CONFIG, processing={"image_std": 1})
@example(config={**CONFIG, "tiling": "none"}, processing={})
def test_a_checkpoint_is_described_or_refused(config: Any, processing: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processing))
    with suppress(CheckpointError):
        found = describe_checkpoint(str(tmp_path))
        assert min(found.tiling.overlaps((64, 96))) >= 0
        assert str(found.tiling)


@MANY
@given(content=st.binary(max_size=100) | damaged(json.dumps(CONFIG).encode()))
def test_a_damaged_config_is_described_or_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with suppress(CheckpointError):
        describe_checkpoint(str(tmp_path))


@MANY
@given(index=JSON | st.fixed_dictionaries({"weight_map": JSON}))
@example(index={"weight_map": {"a": "x" * 5000 + ".safetensors"}})
@example(index={"weight_map": {"a": "\0.safetensors"}})
@example(index={"weight_map": {"a": "..", "b": "/", "c": ""}})
def test_an_index_of_weights_names_files_beside_it_or_is_refused(index: Any, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with suppress(CheckpointError):
        assert all(path.parent == tmp_path for path in weight_files(tmp_path))


SETTINGS = st.booleans() | st.integers(-1, 300) | st.floats() | st.text(st.characters(codec="utf-8"), max_size=4)
OPTIONS = {
    name: sorted({flag.lstrip("-") for option in command.params for flag in option.opts})
    for name, command in cli.main.commands.items()
}


@st.composite
def settings_text(draw: st.DrawFn) -> str:
    """Return settings whose keys are right and whose values are anything that TOML knows."""
    lines = []
    for command in draw(st.lists(st.sampled_from(sorted(OPTIONS)), max_size=2, unique=True)):
        lines.append(f"[{command}]")
        for option in draw(st.lists(st.sampled_from(OPTIONS[command]), max_size=4, unique=True)):
            value = draw(SETTINGS | st.lists(SETTINGS, max_size=3) | st.just("1979-05-27") | st.just("{a=1}"))
            lines.append(f'"{option}" = {_toml(value)}')
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if value in ("1979-05-27", "{a=1}"):
        return str(value)
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf").replace("\x7f", "\\u007f")


def load_settings(path: Path) -> None:
    """Read a settings file and convert what it sets, as a command does before it starts."""
    context = cli.main.make_context("noseam", ["--config", str(path), "plan", "a"])
    for name in context.default_map or ():
        with suppress(click.ClickException, click.exceptions.Exit):
            cli.main.commands[name].make_context(name, ["a", "b"], parent=context)


@MANY
@given(content=st.binary(max_size=100) | damaged(b'[segment]\nout = "a"\nvalue-range = [0, 9]\noverlap = 0.25\n'))
def test_a_settings_file_of_any_bytes_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "noseam.toml").write_bytes(content)
    with suppress(click.ClickException):
        cli.main.make_context("noseam", ["--config", str(tmp_path / "noseam.toml"), "plan", "a"])


@FEW
@given(text=settings_text())
@example(text="[segment]\nout = 5.25")
@example(text="[segment]\noverlap = [1]")
@example(text='[segment]\nout = "a\\u0000b"')
def test_settings_of_any_kind_are_taken_or_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "noseam.toml").write_text(text, "utf-8")
    with suppress(click.ClickException):
        load_settings(tmp_path / "noseam.toml")


@MANY
@given(
    world=damaged(b"0.5\n0\n0\n-0.5\n1.25\n9e2\n"), prj=damaged(b'GEOGCS["a",DATUM["b",SPHEROID["c",6378137,298.257]]]')
)
def test_a_world_file_raises_nothing(world: bytes, prj: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jgw").write_bytes(world)
    (tmp_path / "a.prj").write_bytes(prj)
    read_world(tmp_path / "a.jpg")


PNG = png_head(height=9, width=9, text={"a": "b", "c": "\u00e4"}) + png_end({"d": "e"})


@MANY
@given(content=damaged(PNG, keep=8) | st.binary(max_size=90).map(lambda data: PNG[:8] + data))
def test_the_text_of_a_png_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with suppress(OSError, ValueError):
        assert all(isinstance(text, str) for text in read_text(tmp_path / "a.png").values())


@FEW
@given(xmp=damaged(xmp_of(attributes(POSE))))
def test_a_photo_with_damaged_xmp_is_read_or_refused(xmp: bytes, tmp_path: Path) -> None:
    with suppress(PoseError):
        read_tags(write_photo(tmp_path / "a.jpg", xmp=xmp))


@MANY
@given(data=st.data())
@example(data=None)
def test_tags_of_masks_are_read_or_refused(data: st.DataObject | None) -> None:
    good = grid_tags(GRID) | Coverage((9, 1), 0, (1.5, 2.0)).tags()
    numbers = st.sampled_from(("0", "1", "32", "40", "60", "-1", "0.5", "nan", "1e999", "9" * 5000, "\u0663", "1_0"))
    words = (
        st.lists(numbers, max_size=3).map(" ".join) | st.tuples(numbers, numbers).map(" x ".join) | st.text(max_size=9)
    )
    tags = good | (data.draw(st.dictionaries(st.sampled_from(sorted(good)), words)) if data else {ROWS_KEY: "9" * 5000})
    with suppress(GridError):
        if grid := read_grid(tags, (40, 60)):
            assert grid.source_shape == (40, 60)
            offsets_of = grid.row_offs, grid.col_offs
            for offsets, tile_px, length_px in zip(offsets_of, grid.tile_shape, grid.model_shape, strict=True):
                ends = [0, *(offset + tile_px for offset in offsets)]
                assert offsets[0] == 0
                assert all(offset <= end for offset, end in zip(offsets, ends, strict=False)), "a gap between tiles"
                assert ends[-1] >= length_px > 0
    if coverage := read_coverage(tags):
        assert min(coverage.pixels, default=0) >= 0 <= coverage.no_data
        assert len(coverage.pixels) == len(coverage.area_m2 or coverage.pixels)
        assert all(0 <= area < math.inf for area in coverage.area_m2 or ())


@FEW
@given(data=st.data())
def test_an_index_of_crops_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    folder = tmp_path / "crops"
    if not folder.exists():
        crop_folder(folder, train=2, val=1)
        (folder / "good.csv").write_bytes((folder / "crops.csv").read_bytes())
    (folder / "crops.csv").write_bytes(data.draw(damaged((folder / "good.csv").read_bytes())))
    with suppress(CropIndexError):
        read_crop_index(folder)


@FEW
@given(content=damaged((BUNDLED_MODELS[DEMO_MODEL] / "model.safetensors").read_bytes()[:5000]))
def test_damaged_safetensors_crash_nothing(content: bytes, apart: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    apart.submit(_load_safetensors, str(path)).result(timeout=60)


def _load_safetensors(path: str) -> None:
    with suppress(Exception):  # every error of safetensors becomes a CheckpointError
        load_file(path)
