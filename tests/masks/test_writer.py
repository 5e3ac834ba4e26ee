from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS

from tests import ROOT
from tests.make import GCPS, ROTATED, RPCS, UTM, noise, write_tif
from tiler.classes import DRONE_CLASSES, ClassTable
from tiler.errors import OutputClashError, RasterWriteError
from tiler.files.beside import Sidecar
from tiler.files.names import Kind
from tiler.files.outputs import Format, Output, plan_outputs, refuse_clashes
from tiler.masks import geotiff_sink, png_sink
from tiler.masks.png import png_end, png_head
from tiler.masks.png_pixels import PngPixels
from tiler.masks.provenance import DAMAGED, digest, is_made_by_noseam, read_tags, source_stamp
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.source.georef import Georeference
from tiler.source.raster import FINGERPRINT_KEY

CLASSES = ClassTable(("ground", "tree", "water"), ((130, 76, 0), (100, 76, 30), (10, 76, 120)))
TAGS = {FINGERPRINT_KEY: "0123456789abcdef", "NOSEAM_CLASSES": json.dumps({"0": "ground", "1": "Bäume"})}
FORMATS: tuple[Format, ...] = ("png", "geotiff", "cog")
TIFFS: tuple[Format, ...] = ("geotiff", "cog")


def _labels(height: int, width: int) -> NDArray[np.uint8]:
    labels = noise(height, width, high=4)
    labels[labels == 3] = 255
    return labels


def _meta(labels: NDArray[np.uint8], georeference: Georeference | None = None) -> MaskMeta:
    return MaskMeta((labels.shape[0], labels.shape[1]), CLASSES, georeference or Georeference(), TAGS)


def _output(folder: Path, format: Format, kind: Kind = "label") -> Output:
    return Output(folder / f"a_{kind}{'.png' if format == 'png' else '.tif'}", kind, format)


def _write(
    outputs: list[Output], labels: NDArray[np.uint8], georeference: Georeference | None = None, portion: int = 100
) -> None:
    with MaskWriter(outputs, _meta(labels, georeference)) as writer:
        for row in range(0, len(labels), portion):
            writer.write(labels[row : row + portion])
        writer.commit()


def _write_short(output: Output, labels: NDArray[np.uint8]) -> None:
    _write_wrong(output, labels, labels[:-1])


def _write_wrong(output: Output, labels: NDArray[np.uint8], wrong: NDArray[np.uint8]) -> None:
    with MaskWriter([output], _meta(labels)) as writer:
        writer.write(wrong)
        writer.commit()


def _write_and_stop(outputs: list[Output], labels: NDArray[np.uint8], rows: int, error: BaseException) -> None:
    with MaskWriter(outputs, _meta(labels)) as writer:
        writer.write(labels[:rows])
        raise error


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (20, 30), (512, 512), (1100, 600)])
def test_labels_are_read_back_pixel_by_pixel(tmp_path: Path, format: Format, shape: tuple[int, int]) -> None:
    labels = _labels(*shape)
    _write([_output(tmp_path, format)], labels)
    with rasterio.open(_output(tmp_path, format).path) as dataset:
        assert (dataset.count, dataset.dtypes) == (1, ("uint8",))
        np.testing.assert_array_equal(dataset.read(1), labels)
    assert _names(tmp_path) == [_output(tmp_path, format).path.name]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("portion", [1, 7, 511, 512, 513, 1100])
def test_rows_in_any_portions_give_one_file(tmp_path: Path, format: Format, portion: int) -> None:
    labels = _labels(1100, 60)
    _write([_output(tmp_path, format)], labels, portion=portion)
    with rasterio.open(_output(tmp_path, format).path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), labels)


def test_a_label_png_is_gray_with_the_tags_as_text(tmp_path: Path) -> None:
    labels = _labels(20, 30)
    _write([_output(tmp_path, "png")], labels)
    with Image.open(tmp_path / "a_label.png") as image:
        assert image.mode == "L"
        assert image.info == TAGS
        np.testing.assert_array_equal(np.asarray(image), labels)


@pytest.mark.parametrize("format", TIFFS)
def test_a_label_tiff_says_what_it_holds(tmp_path: Path, format: Format) -> None:
    _write([_output(tmp_path, format)], _labels(20, 30))
    with rasterio.open(tmp_path / "a_label.tif") as dataset:
        assert dataset.nodata == 255
        assert dataset.descriptions == ("class",)
        assert [channel.name for channel in dataset.colorinterp] == ["palette"]
        colormap = dataset.colormap(1)
        assert {key: dataset.tags()[key] for key in TAGS} == TAGS
        assert dataset.compression.name == "deflate"
    assert [colormap[label][:3] for label in range(3)] == list(CLASSES.colours)
    assert all(colormap[label][3] == 255 for label in range(3))
    assert all(colormap[label][:3] == (0, 0, 0) for label in range(3, 256))


@pytest.mark.parametrize("format", TIFFS)
def test_the_palette_survives_in_other_programs(tmp_path: Path, format: Format) -> None:
    labels = _labels(20, 30)
    _write([_output(tmp_path, format)], labels)
    with Image.open(tmp_path / "a_label.tif") as image:
        colours = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(colours, CLASSES.palette()[labels, :3])


@pytest.mark.parametrize("format", TIFFS)
@pytest.mark.parametrize("kind", ["label", "color"])
def test_the_six_numbers_of_the_transform_are_carried_over(tmp_path: Path, format: Format, kind: Kind) -> None:
    output = _output(tmp_path, format, kind)
    _write([output], _labels(20, 30), Georeference(UTM, ROTATED))
    with rasterio.open(output.path) as dataset:
        assert dataset.transform == ROTATED
        assert dataset.crs == UTM


@pytest.mark.parametrize("format", TIFFS)
def test_a_south_up_transform_is_carried_over(tmp_path: Path, format: Format) -> None:
    south_up = Affine(0.05, 0, 500_000, 0, 0.05, 5_000_000)
    _write([_output(tmp_path, format)], _labels(600, 600), Georeference(UTM, south_up))
    with rasterio.open(tmp_path / "a_label.tif") as dataset:
        assert dataset.transform == south_up


@pytest.mark.parametrize("format", TIFFS)
def test_a_transform_without_a_crs_is_carried_over(tmp_path: Path, format: Format) -> None:
    _write([_output(tmp_path, format)], _labels(20, 30), Georeference(None, ROTATED))
    with rasterio.open(tmp_path / "a_label.tif") as dataset:
        assert dataset.transform == ROTATED
        assert dataset.crs is None


@pytest.mark.parametrize("format", TIFFS)
@pytest.mark.parametrize("crs", [UTM, None])
def test_ground_control_points_are_carried_over(tmp_path: Path, format: Format, crs: CRS | None) -> None:
    _write([_output(tmp_path, format)], _labels(20, 30), Georeference(crs, gcps=GCPS))
    with rasterio.open(tmp_path / "a_label.tif") as dataset:
        found, found_crs = dataset.gcps
        assert dataset.transform == Affine.identity()
    assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [(p.row, p.col, p.x, p.y, p.z) for p in GCPS]
    assert found_crs == crs


@pytest.mark.parametrize("format", TIFFS)
def test_rational_polynomials_are_carried_over(tmp_path: Path, format: Format) -> None:
    _write([_output(tmp_path, format)], _labels(20, 30), Georeference(rpcs=RPCS))
    with rasterio.open(tmp_path / "a_label.tif") as dataset:
        assert dataset.rpcs.to_dict() == RPCS.to_dict()


@pytest.mark.parametrize("format", FORMATS)
def test_no_georeference_is_made_up(tmp_path: Path, format: Format) -> None:
    _write([_output(tmp_path, format)], _labels(20, 30))
    with rasterio.open(_output(tmp_path, format).path) as dataset:
        assert (dataset.crs, dataset.transform, dataset.gcps, dataset.rpcs) == (
            None,
            Affine.identity(),
            ([], None),
            None,
        )


def test_only_a_cog_has_the_layout_and_the_overviews_of_one(tmp_path: Path) -> None:
    labels = _labels(1300, 1100)
    for format in TIFFS:
        _write([_output(tmp_path / format, format)], labels)
    with rasterio.open(tmp_path / "cog/a_label.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1) == [2, 4]
        assert dataset.block_shapes == [(512, 512)]
    with rasterio.open(tmp_path / "geotiff/a_label.tif") as dataset:
        assert "LAYOUT" not in dataset.tags(ns="IMAGE_STRUCTURE")
        assert dataset.overviews(1) == []


def test_overviews_hold_the_commonest_class_and_never_a_mean(tmp_path: Path) -> None:
    ground, tree, water = (np.array(colour) for colour in CLASSES.colours)
    np.testing.assert_array_equal(0.75 * ground + 0.25 * water, tree)
    blocks = noise(325, 275, high=2) * np.uint8(2)
    labels = blocks.repeat(4, axis=0).repeat(4, axis=1)
    labels[::4, ::4] = 2 - labels[::4, ::4]
    _write([_output(tmp_path, "cog")], labels)
    for level, expected in enumerate((blocks.repeat(2, axis=0).repeat(2, axis=1), blocks)):
        with rasterio.open(tmp_path / "a_label.tif", overview_level=level) as overview:
            np.testing.assert_array_equal(overview.read(1), expected)


def test_overviews_in_colour_hold_only_colours_of_classes(tmp_path: Path) -> None:
    labels = _labels(1100, 600)
    _write([_output(tmp_path, "cog", "color")], labels)
    with rasterio.open(tmp_path / "a_color.tif", overview_level=0) as overview:
        colours = np.unique(overview.read().reshape(4, -1), axis=1).T
    assert {tuple(colour) for colour in colours.tolist()} <= {tuple(c) for c in CLASSES.palette().tolist()}


def test_a_colour_png_is_a_palette_of_the_class_colours(tmp_path: Path) -> None:
    labels = _labels(20, 30)
    _write([_output(tmp_path, "png", "color")], labels)
    with Image.open(tmp_path / "a_color.png") as image:
        assert image.mode == "P"
        assert {key: image.info[key] for key in TAGS} == TAGS
        np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), CLASSES.palette()[labels])


@pytest.mark.parametrize("format", TIFFS)
@pytest.mark.parametrize("shape", [(20, 30), (1100, 600)])
def test_a_colour_tiff_is_red_green_blue_alpha(tmp_path: Path, format: Format, shape: tuple[int, int]) -> None:
    labels = _labels(*shape)
    _write([_output(tmp_path, format, "color")], labels)
    with rasterio.open(tmp_path / "a_color.tif") as dataset:
        assert [channel.name for channel in dataset.colorinterp] == ["red", "green", "blue", "alpha"]
        assert dataset.nodata is None
        assert {key: dataset.tags()[key] for key in TAGS} == TAGS
        np.testing.assert_array_equal(dataset.read(), CLASSES.palette()[labels].transpose(2, 0, 1))


@pytest.mark.parametrize("format", FORMATS)
def test_label_and_colour_are_written_together(tmp_path: Path, format: Format) -> None:
    outputs = [_output(tmp_path, format), _output(tmp_path, format, "color")]
    _write(outputs, _labels(600, 30))
    assert _names(tmp_path) == sorted(output.path.name for output in outputs)


def _confidence(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    confidence = noise(*labels.shape, high=255, seed=5)
    confidence[labels == 255] = 255
    return confidence


def _write_confidence(outputs: list[Output], labels: NDArray[np.uint8], portion: int = 100) -> NDArray[np.uint8]:
    confidence = _confidence(labels)
    with MaskWriter(outputs, _meta(labels)) as writer:
        for row in range(0, len(labels), portion):
            writer.write(labels[row : row + portion], confidence[row : row + portion])
        writer.commit()
    return confidence


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("portion", [7, 600])
def test_confidence_is_read_back_beside_the_labels(tmp_path: Path, format: Format, portion: int) -> None:
    labels = _labels(600, 70)
    outputs = [_output(tmp_path, format, kind) for kind in ("confidence", "label", "color")]
    confidence = _write_confidence(outputs, labels, portion)
    expected = [confidence[np.newaxis], labels[np.newaxis]]
    for output, pixels in zip(outputs, expected, strict=False):
        with rasterio.open(output.path) as dataset:
            np.testing.assert_array_equal(dataset.read(), pixels)
    assert _names(tmp_path) == sorted(output.path.name for output in outputs)


@pytest.mark.parametrize("format", FORMATS)
def test_confidence_says_what_it_holds(tmp_path: Path, format: Format) -> None:
    outputs = [_output(tmp_path, format, "confidence"), _output(tmp_path, format)]
    _write_confidence(outputs, _labels(20, 30))
    with rasterio.open(outputs[0].path) as dataset:
        assert [channel.name for channel in dataset.colorinterp] == ["gray"]
        if format != "png":
            assert (dataset.nodata, dataset.descriptions) == (255, ("confidence",))
            assert dataset.compression.name == "deflate"
        tags = dataset.tags()
    assert tags.items() >= TAGS.items()
    assert tags["CONFIDENCE"].startswith("round(254 * (p1 - p2) / (p1 + p2))")
    with rasterio.open(outputs[1].path) as dataset:
        assert "CONFIDENCE" not in dataset.tags()


def test_overviews_of_confidence_are_means_of_what_has_data(tmp_path: Path) -> None:
    labels = np.zeros((1100, 600), np.uint8)
    confidence = np.full((1100, 600), 100, np.uint8)
    confidence[::2, ::2], confidence[1::2, 1::2] = 255, 200
    with MaskWriter([_output(tmp_path, "cog", "confidence")], _meta(labels)) as writer:
        writer.write(labels, confidence)
        writer.commit()
    with rasterio.open(tmp_path / "a_confidence.tif", overview_level=0) as overview:
        np.testing.assert_array_equal(overview.read(1), 133)


@pytest.mark.parametrize("format", FORMATS)
def test_confidence_is_given_exactly_where_it_is_planned(tmp_path: Path, format: Format) -> None:
    labels = _labels(20, 30)
    with (
        pytest.raises(ValueError, match="confidence is planned but not given"),
        MaskWriter([_output(tmp_path, format, "confidence")], _meta(labels)) as writer,
    ):
        writer.write(labels)
    with (
        pytest.raises(ValueError, match="confidence is given but not planned"),
        MaskWriter([_output(tmp_path, format)], _meta(labels)) as writer,
    ):
        writer.write(labels, labels)
    with (
        pytest.raises(ValueError, match=r"confidence has shape \(10, 30\), labels have \(20, 30\)"),
        MaskWriter([_output(tmp_path, format, "confidence")], _meta(labels)) as writer,
    ):
        writer.write(labels, labels[:10])
    assert _names(tmp_path) == []


@pytest.mark.parametrize("format", TIFFS)
@pytest.mark.parametrize("kind", ["label", "color", "confidence"])
def test_the_number_of_threads_changes_no_byte(tmp_path: Path, format: Format, kind: Kind) -> None:
    labels, contents = _labels(1300, 1100), set()
    for threads in (1, 3):
        output = _output(tmp_path / str(threads), format, kind)
        with MaskWriter([output], _meta(labels), threads=threads) as writer:
            writer.write(labels, _confidence(labels) if kind == "confidence" else None)
            writer.commit()
        contents.add(output.path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_labels_give_the_same_bytes(tmp_path: Path, format: Format) -> None:
    for folder in "ab":
        _write([_output(tmp_path / folder, format)], _labels(600, 60), Georeference(UTM, ROTATED))
    name = _output(tmp_path, format).path.name
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    _write([_output(tmp_path / "b/c", "png")], _labels(4, 4))
    assert _names(tmp_path) == ["a_label.png"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["a" * 245, "a\nb", "a'b\"<c>", "-a", "100%", "a\x1b[31m"])
def test_any_legal_name_is_written(tmp_path: Path, format: Format, name: str) -> None:
    output = Output(tmp_path / f"{name}{'.png' if format == 'png' else '.tif'}", "label", format)
    _write([output], _labels(4, 4))
    assert _names(tmp_path) == [output.path.name]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("start", ["", "a"])
def test_long_names_of_two_byte_letters_are_written(tmp_path: Path, format: Format, start: str) -> None:
    output = Output(tmp_path / f"{start + 'é' * 60}{'.png' if format == 'png' else '.tif'}", "label", format)
    _write([output], _labels(4, 4))
    assert _names(tmp_path) == [output.path.name]


def test_a_name_too_long_for_the_file_system_is_refused(tmp_path: Path) -> None:
    output = Output(tmp_path / ("a" * 300 + ".png"), "label", "png")
    with pytest.raises(RasterWriteError, match=r"a{300}\.png: cannot be written: File name too long"):
        _write([output], _labels(4, 4))
    assert _names(tmp_path) == []


class _Stop(BaseException):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("error", [ValueError, _Stop])
@pytest.mark.parametrize("rows", [0, 10, 600, 700])
def test_nothing_is_left_after_an_exception(
    tmp_path: Path, format: Format, error: type[BaseException], rows: int
) -> None:
    labels = _labels(700, 30)
    outputs = [_output(tmp_path, format), _output(tmp_path, format, "color")]
    with pytest.raises(error, match="stopped"):
        _write_and_stop(outputs, labels, rows, error("stopped"))
    assert _names(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_left_without_a_commit(tmp_path: Path, format: Format) -> None:
    labels = _labels(700, 30)
    with MaskWriter([_output(tmp_path, format)], _meta(labels)) as writer:
        writer.write(labels)
        assert not _output(tmp_path, format).path.exists()
        assert all(name.startswith(".") for name in _names(tmp_path))
    assert _names(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_left_where_a_second_output_cannot_be_opened(tmp_path: Path, format: Format) -> None:
    (tmp_path / "file").write_text("in the way")
    outputs = [_output(tmp_path, format), _output(tmp_path / "file", format)]
    with pytest.raises(RasterWriteError, match=r"file/a_label\.\w+: cannot be written: "):
        _write(outputs, _labels(4, 4))
    assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_old_output_survives_a_failed_overwrite(tmp_path: Path, format: Format) -> None:
    output, labels = _output(tmp_path, format), _labels(700, 30)
    _write([output], labels)
    old = output.path.read_bytes()
    with pytest.raises(ValueError, match="stopped"):
        _write_and_stop([output], labels, 650, ValueError("stopped"))
    with pytest.raises(RasterWriteError, match="1 rows are missing"):
        _write_short(output, labels)
    assert output.path.read_bytes() == old
    assert _names(tmp_path) == [output.path.name]


@pytest.mark.parametrize("format", FORMATS)
def test_an_old_output_is_replaced_by_a_good_one(tmp_path: Path, format: Format) -> None:
    output = _output(tmp_path, format)
    for labels in (_labels(20, 30), _labels(20, 30)[::-1]):
        _write([output], labels)
        with rasterio.open(output.path) as dataset:
            np.testing.assert_array_equal(dataset.read(1), labels)


@pytest.mark.parametrize("format", FORMATS)
def test_missing_rows_are_refused_by_name(tmp_path: Path, format: Format) -> None:
    output = _output(tmp_path, format)
    with pytest.raises(RasterWriteError, match=rf"{output.path.name}: 1 rows are missing"):
        _write_short(output, _labels(600, 30))
    assert _names(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_rows_that_do_not_fit_are_refused_by_name(tmp_path: Path, format: Format) -> None:
    output, labels = _output(tmp_path, format), _labels(600, 30)
    for wrong in (np.concatenate((labels, labels)), labels[:, :-1]):
        with pytest.raises(RasterWriteError, match=rf"{output.path.name}: "):
            _write_wrong(output, labels, wrong)
    assert _names(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_in_place_of_the_folder_is_refused_by_name(tmp_path: Path, format: Format) -> None:
    (tmp_path / "out").write_text("in the way")
    output = _output(tmp_path / "out", format)
    with pytest.raises(RasterWriteError, match=rf"out/{output.path.name}: cannot be written: "):
        _write([output], _labels(4, 4))
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_in_place_of_the_output_is_refused_by_name(tmp_path: Path, format: Format) -> None:
    output = _output(tmp_path, format)
    output.path.mkdir()
    with pytest.raises(RasterWriteError, match=rf"{output.path.name}: cannot be written: Is a directory"):
        _write([output], _labels(4, 4))
    assert list(tmp_path.iterdir()) == [output.path]


def test_an_output_that_is_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    output = _output(tmp_path / "out", "png")
    output.path.parent.mkdir()
    output.path.symlink_to(tmp_path / "precious.txt")
    _write([output], _labels(4, 4))
    assert not output.path.is_symlink()
    assert (tmp_path / "precious.txt").read_text() == "keep me"


def _spoil(monkeypatch: pytest.MonkeyPatch, how: str, part: str) -> None:
    """Damage files with `part` in their name after they were written and before they are read back."""
    for module, name in ((png_sink, "_compare_bytes"), (geotiff_sink, "_compare_pixels")):
        monkeypatch.setattr(module, name, _spoilt(getattr(module, name), how, part))


def _spoilt(compare: Callable[[Path, int], None], how: str, part: str) -> Callable[[Path, int], None]:
    def spoilt(path: Path, checksum: int) -> None:
        if part in path.name:
            content = path.read_bytes()
            if how == "cut":
                path.write_bytes(content[: len(content) // 2])
            else:
                _change_one_pixel(path)
        compare(path, checksum)

    return spoilt


def _change_one_pixel(path: Path) -> None:
    driver = "PNG" if ".png" in path.name else "GTiff"
    with rasterio.open(path) as dataset:
        pixels = dataset.read()
    pixels[0, -1, -1] ^= 1
    count, height, width = pixels.shape
    with rasterio.open(path, "w", driver=driver, count=count, height=height, width=width, dtype="uint8") as dataset:
        dataset.write(pixels)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("how", ["cut", "one pixel"])
def test_damage_before_reading_back_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format, how: str
) -> None:
    output, labels = _output(tmp_path, format), _labels(600, 70)
    _write([output], labels)
    old = output.path.read_bytes()
    _spoil(monkeypatch, how, "")
    reason = "what was read back differs" if how == "one pixel" else ""
    with pytest.raises(RasterWriteError, match=rf"{output.path.name}: cannot be written: {reason}"):
        _write([output], labels)
    assert output.path.read_bytes() == old
    assert _names(tmp_path) == [output.path.name]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bad", ["label", "color"])
def test_one_bad_output_holds_back_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format, bad: Kind
) -> None:
    outputs = [_output(tmp_path, format), _output(tmp_path, format, "color")]
    _spoil(monkeypatch, "one pixel", bad)
    with pytest.raises(RasterWriteError, match=f"a_{bad}.*what was read back differs"):
        _write(outputs, _labels(20, 30))
    assert _names(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_failed_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    output = _output(tmp_path, format)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RasterWriteError, match=rf"{output.path.name}: cannot be written: No space left on device"):
        _write([output], _labels(20, 30))
    assert _names(tmp_path) == []


SWEEP = """
import json, resource, sys
from pathlib import Path
import numpy as np
from tests.masks.test_writer import _labels, _names, _output, _write
from tiler.errors import RasterWriteError

folder, format, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
labels = _labels(900, 700)
whole = _output(folder / "whole", format, kind)
_write([whole], labels)
good = whole.path.read_bytes()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for share in json.loads(sys.argv[4]):
    output = _output(folder / str(share), format, kind)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(good)), most))
    try:
        _write([output], labels)
        error = ""
    except RasterWriteError as caught:
        error = str(caught)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    found = output.path.read_bytes() if output.path.exists() else None
    names = _names(output.path.parent)
    print(json.dumps({"share": share, "error": error, "absent": found is None, "whole": found == good, "names": names}))
"""


@pytest.mark.parametrize(
    ("format", "kind"), [("png", "label"), ("geotiff", "label"), ("cog", "label"), ("cog", "color")]
)
def test_a_full_disk_never_leaves_a_wrong_file(tmp_path: Path, format: Format, kind: Kind) -> None:
    shares = [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999, 1, 4]
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, str(tmp_path), format, kind, json.dumps(shares)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    name = _output(tmp_path, format, kind).path.name
    assert [result["share"] for result in results] == shares
    for result in results:
        assert result["whole"] or result["absent"], result
        assert result["names"] == ([name] if result["whole"] else []), result
        assert (f"{name}: cannot be written: " in result["error"]) == result["absent"], result
    assert all(result["absent"] for result in results if result["share"] < 1)
    assert results[-1]["whole"]


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_is_honoured(tmp_path: Path, format: Format, mask: int, mode: int) -> None:
    output = _output(tmp_path, format)
    with _umask(mask):
        _write([output], _labels(4, 4))
    assert output.path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("relative", "georeferenced", "wanted", "color", "expected"),
    [
        ("a/x.JPG", False, "auto", None, [("a/x_label.png", "label", "png"), ("a/x_color.png", "color", "png")]),
        ("a/x.JPG", False, "auto", False, [("a/x_label.png", "label", "png")]),
        ("x.tif", True, "auto", None, [("x_label.tif", "label", "cog")]),
        ("x.tif", True, "auto", True, [("x_label.tif", "label", "cog"), ("x_color.tif", "color", "cog")]),
        ("x.tif", True, "png", None, [("x_label.png", "label", "png"), ("x_color.png", "color", "png")]),
        ("x.jpg", False, "geotiff", None, [("x_label.tif", "label", "geotiff")]),
        ("x.jpg", False, "geotiff", True, [("x_label.tif", "label", "geotiff"), ("x_color.tif", "color", "geotiff")]),
        ("x.jpg", False, "cog", False, [("x_label.tif", "label", "cog")]),
        ("a.b/x.y.z.jpg", False, "png", False, [("a.b/x.y.z_label.png", "label", "png")]),
        ("photo", False, "png", False, [("photo_label.png", "label", "png")]),
    ],
)
def test_outputs_are_planned(
    relative: str, georeferenced: bool, wanted: Format, color: bool | None, expected: list[tuple[str, Kind, Format]]
) -> None:
    planned = plan_outputs(Path(relative), Path("out"), georeferenced=georeferenced, wanted=wanted, color=color)
    assert planned == tuple(Output(Path("out") / path, kind, format) for path, kind, format in expected)


@pytest.mark.parametrize(
    ("wanted", "color", "expected"),
    [
        ("png", None, ["x_label.png", "x_color.png", "x_confidence.png"]),
        ("png", False, ["x_label.png", "x_confidence.png"]),
        ("cog", None, ["x_label.tif", "x_confidence.tif"]),
    ],
)
def test_confidence_is_planned_where_asked_for(wanted: Format, color: bool | None, expected: list[str]) -> None:
    planned = plan_outputs(Path("x.jpg"), Path("out"), georeferenced=False, wanted=wanted, color=color, confidence=True)
    assert [output.path.name for output in planned] == expected
    assert (planned[-1].kind, planned[-1].format) == ("confidence", wanted)


def _planned(*relatives: str) -> list[tuple[Path, tuple[Output, ...]]]:
    return [
        (
            Path("survey") / name,
            plan_outputs(Path(name), Path("out"), georeferenced=False, wanted="auto", color=None),
        )
        for name in relatives
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.jpg", "a.tif"),
        ("a.jpg", "a.JPG"),
        ("a.jpg", "A.jpg"),
        ("b/a.jpg", "B/a.png"),
        ("straße.jpg", "STRASSE.jpg"),
    ],
)
def test_two_sources_of_one_output_are_refused(first: str, second: str) -> None:
    match = rf"survey/{first} and survey/{second} would both write out/.*_label\.png"
    with pytest.raises(OutputClashError, match=match):
        refuse_clashes(_planned(first, "other.jpg", second))


def test_different_outputs_do_not_clash() -> None:
    planned = _planned("a.jpg", "b.jpg", "sub/a.jpg", "sub2/a.jpg", "a_label.jpg")
    refuse_clashes(planned)
    with pytest.raises(OutputClashError, match=r"survey/a\.png"):
        refuse_clashes([*planned, *_planned("a.png")])


def test_one_source_named_twice_does_not_clash_with_itself() -> None:
    planned = _planned("a.jpg", "a.jpg")
    refuse_clashes(planned)
    with pytest.raises(OutputClashError, match="would both write"):
        refuse_clashes([*planned, *_planned("a.png")])


def test_a_png_that_loses_its_place_keeps_no_world_file(tmp_path: Path) -> None:
    def outputs(*sidecars: Sidecar) -> list[Output]:
        planned = plan_outputs(Path("a.jpg"), tmp_path, georeferenced=True, wanted="png", color=True, sidecars=sidecars)
        return list(planned)

    _write(outputs("world", "prj", "pam"), _labels(20, 30), Georeference(UTM, ROTATED))
    assert len(list(tmp_path.glob("a_*.pgw"))) == len(list(tmp_path.glob("a_*.prj"))) == 2
    _write(outputs("pam"), _labels(20, 30))
    assert not [*tmp_path.glob("*.pgw"), *tmp_path.glob("*.prj")]


def _foreign_files(folder: Path) -> Iterator[Path]:
    Image.fromarray(noise(4, 4)).save(folder / "foreign.png")
    write_tif(folder / "foreign.tif", noise(1, 4, 4))
    for name in ("empty.png", "empty.tif"):
        (folder / name).touch()
    for name in ("text.png", "text.tif"):
        (folder / name).write_text("not an image")
    for name in ("folder.png", "folder.tif"):
        (folder / name).mkdir()
    yield from sorted(folder.iterdir())


def test_files_that_noseam_did_not_write_are_told_from_its_own(tmp_path: Path) -> None:
    foreign = list(_foreign_files(tmp_path))
    assert [path.stem for path in foreign if is_made_by_noseam(read_tags(path))] == ["empty", "empty"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_output_cut_inside_its_header_is_a_damaged_mask(tmp_path: Path, format: Format) -> None:
    output = _output(tmp_path, format)
    _write([output], _labels(20, 30))
    assert is_made_by_noseam(read_tags(output.path))
    whole = output.path.read_bytes()
    output.path.write_bytes(whole[: whole.index(FINGERPRINT_KEY.encode()) + 60])
    assert read_tags(output.path)[FINGERPRINT_KEY] == DAMAGED
    output.path.write_bytes(whole[:40])
    assert not is_made_by_noseam(read_tags(output.path))


@pytest.mark.parametrize("height", [300, 1000, 2100])
@pytest.mark.parametrize("width", [511, 512, 513, 1023, 1024, 1025, 2048, 2049])
def test_validators_take_every_size_for_a_cog(tmp_path: Path, height: int, width: int) -> None:
    cogeo = pytest.importorskip("rio_cogeo.cogeo", reason="needs rio-cogeo")
    output = _output(tmp_path, "cog")
    meta = MaskMeta((height, width), DRONE_CLASSES, Georeference(UTM, ROTATED), TAGS)
    with MaskWriter([output], meta) as writer:
        writer.write(np.zeros((height, width), np.uint8))
        writer.commit()
    assert cogeo.cog_validate(output.path, strict=True, quiet=True) == (True, [], [])


def test_the_tags_of_a_mask_larger_than_pillow_opens_are_read(tmp_path: Path) -> None:
    side = 13_400
    output = _output(tmp_path, "png")
    pixels = PngPixels(height=side, width=side)
    parts = [pixels.encode(np.zeros((side // 10, side), np.uint8)) for _ in range(10)]
    output.path.write_bytes(
        b"".join([png_head(height=side, width=side, text=TAGS), *parts, pixels.finish(), png_end({})])
    )
    assert read_tags(output.path) == TAGS


def test_the_digest_changes_with_any_part_and_not_with_their_order() -> None:
    parts = {"size": 5, "model": "demo", "scale": 0.256}
    assert digest(parts) == digest(dict(reversed(parts.items())))
    assert len({digest(parts), digest(parts | {"size": 6}), digest(parts | {"new": 0}), digest({})}) == 4
    assert len(digest(parts)) == 32
    assert int(digest(parts), 16) > 0


def test_the_stamp_of_a_source_is_its_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    os.utime(path, ns=(0, 1_234_567_891))
    assert source_stamp(path) == (5, 1_234_567_891)
