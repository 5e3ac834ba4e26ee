from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiler.files.names import (
    PNG,
    TIFF,
    Kind,
    MaskName,
    is_label_name,
    mask_name,
    polygons_name,
    read_name,
    read_product,
)
from tiler.files.outputs import all_paths, plan_outputs
from tiler.files.vector import Format, OneFile, format_of

STEMS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@given(STEMS, st.sampled_from(get_args(Kind)))
def test_what_a_mask_is_called_is_read_back(image: str, kind: Kind) -> None:
    assert mask_name(image, kind, "") == f"{image}_{kind}"
    assert read_name(mask_name(image, kind, "")) == MaskName(image, kind)


@pytest.mark.parametrize(
    ("stem", "image", "kind"),
    [
        ("IMG_7_label", "IMG_7", "label"),
        ("IMG_7_Confidence", "IMG_7", "confidence"),
        ("x_mask_COLOR", "x_mask", "color"),
        ("x_label_mask", "x_label", "mask"),
        ("x_labels", "x_labels", None),
        ("my_label_dog", "my_label_dog", None),
        ("_label", "_label", None),
        ("label", "label", None),
        ("x_polygons", "x_polygons", None),
        ("two\nlines_label", "two\nlines", "label"),
    ],
)
def test_one_ending_is_read_and_never_all_of_a_name(stem: str, image: str, kind: Kind | None) -> None:
    assert read_name(stem) == MaskName(image, kind)


@pytest.mark.parametrize("format", get_args(Format))
def test_polygons_end_as_their_format_does(format: Format) -> None:
    name = polygons_name("IMG_7", format)
    assert Path(name).stem == "IMG_7_polygons"
    assert format_of(Path(name)) == format


@pytest.mark.parametrize("name", ["x_label.png", "x_LABEL.TIFF", "d/x_label.tif"])
def test_label_masks_are_known_by_name(name: str) -> None:
    assert is_label_name(Path(name))


@pytest.mark.parametrize("name", ["x_label.jpg", "x_label.png.aux.xml", "_label.png", "x_mask.png", "x_color.png", "x"])
def test_other_files_are_not_taken_for_label_masks(name: str) -> None:
    assert not is_label_name(Path(name))


def test_every_output_of_an_image_is_read_back_as_a_product() -> None:
    planned = {
        path.name
        for wanted in ("png", "cog")
        for polygons in get_args(OneFile)
        for path in all_paths(
            plan_outputs(
                Path("d/IMG_7.JPG"), Path("out"), georeferenced=True, wanted=wanted, color=True, confidence=True,
                polygons=polygons,
            )
        )
    }  # fmt: skip
    assert {read_product(name) for name in planned} == {
        ("IMG_7", kind) for kind in ("label", "color", "confidence", "polygons")
    }  # fmt: skip
    assert [read_product(name) for name in ("IMG_7.JPG", "_label.png", "a_label.jpg", "a_mask.png", "a.gpkg")] == [
        None
    ] * 5
    assert {Path(name).suffix for name in planned} == {
        PNG, TIFF, ".gpkg", ".fgb", ".geojson", ".geojsonl", ".parquet", ".kml", ".dxf",
    }  # fmt: skip
