from __future__ import annotations

import numpy as np
import pytest

from tiler.classes import DRONE_CLASSES, ClassTable
from tiler.errors import ClassTableError
from tiler.remap.options import Merge, RemapOptions
from tiler.remap.table import remap_classes

TABLE = ClassTable(
    ("unlabeled", "grass", "road", "tree", "wet, sand"), ((0, 0, 0), (0, 99, 0), (9, 9, 9), (0, 50, 0), (90, 90, 0))
)


def test_nothing_changes_by_default() -> None:
    classes, lookup = remap_classes(DRONE_CLASSES, RemapOptions())
    assert classes == DRONE_CLASSES
    assert not RemapOptions()
    assert lookup.dtype == np.uint8
    assert lookup.tolist() == [*range(24), *[255] * 232]


def test_a_class_that_is_left_out_has_no_label_and_the_others_move_up() -> None:
    classes, lookup = remap_classes(TABLE, RemapOptions(ignore=("unlabeled", "road")))
    assert classes == ClassTable(("grass", "tree", "wet, sand"), ((0, 99, 0), (0, 50, 0), (90, 90, 0)))
    assert lookup[[0, 1, 2, 3, 4, 5, 254, 255]].tolist() == [255, 0, 255, 1, 2, 255, 255, 255]


def test_a_merged_class_takes_the_place_and_the_colour_of_its_first_member() -> None:
    classes, lookup = remap_classes(TABLE, RemapOptions(map=("tree, grass = green",)))
    assert classes == ClassTable(
        ("unlabeled", "road", "green", "wet, sand"), ((0, 0, 0), (9, 9, 9), (0, 50, 0), (90, 90, 0))
    )
    assert lookup[:6].tolist() == [0, 2, 1, 2, 3, 255]


def test_a_class_of_the_new_name_is_a_member_and_the_first() -> None:
    classes, lookup = remap_classes(TABLE, RemapOptions(ignore=("unlabeled",), map=("tree=grass",)))
    assert classes == ClassTable(("grass", "road", "wet, sand"), ((0, 99, 0), (9, 9, 9), (90, 90, 0)))
    assert lookup[:5].tolist() == [255, 0, 1, 0, 2]


def test_one_new_name_can_be_given_twice_and_a_class_renamed() -> None:
    one = remap_classes(TABLE, RemapOptions(map=("grass=green", "tree=green", "road=street")))
    other = remap_classes(TABLE, RemapOptions(map=("grass,tree=green", "road=street")))
    assert one[0] == other[0]
    assert one[0].names == ("unlabeled", "green", "street", "wet, sand")
    assert one[1].tolist() == other[1].tolist()


def test_a_name_with_a_comma_stands_in_quotes_and_the_last_equals_sign_counts() -> None:
    assert RemapOptions(map=('"wet, sand",a=b=soil',)).merges == (Merge(("wet, sand", "a=b"), "soil"),)
    merged = remap_classes(TABLE, RemapOptions(map=('"wet, sand",road=soil',)))[0]
    assert merged.names == ("unlabeled", "grass", "tree", "soil")


@pytest.mark.parametrize(
    ("ignore", "merged", "match"),
    [
        (("gras",), (), "--ignore gras: no such class; did you mean grass?"),
        (("x",), (), "--ignore x: no such class; known: unlabeled, grass, road, tree, wet, sand"),
        ((), ("grass,trees=green",), "--map trees: no such class; did you mean tree?"),
        (("grass",), ("grass,tree=green",), "--map: class grass goes to --ignore already; expected each class once"),
        (("grass",), ("tree=grass",), "--map: class grass goes to --ignore already"),
        ((), ("grass=a", "grass=b"), "--map: class grass goes to a already"),
        (TABLE.names, (), "no class is left: --ignore names all 5"),
    ],
)
def test_what_cannot_be_done_is_refused(ignore: tuple[str, ...], merged: tuple[str, ...], match: str) -> None:
    with pytest.raises(ClassTableError, match=match.replace("?", r"\?")):
        remap_classes(TABLE, RemapOptions(ignore=ignore, map=merged))


@pytest.mark.parametrize("text", ["", "green", "=green", "grass=", "grass,,tree=green", "grass, =green"])
def test_a_merge_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ClassTableError, match="map: names of classes, = and a new name expected, such as grass,veg"):
        RemapOptions(map=(text,))
