from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tiler.classes import MAX_CLASSES, ClassTable, distinct_colours, read_class_table
from tiler.errors import ClassTableError

DRONE = b"name, r, g, b\nunlabeled, 0, 0, 0\npaved-area, 128, 64, 128\ndirt, 130, 76, 0\n"
HEADER = "header name, r, g, b expected, in any order, with or without id"
TABLE = ClassTable(("unlabeled", "paved-area", "dirt"), ((0, 0, 0), (128, 64, 128), (130, 76, 0)))


def _csv(folder: Path, content: bytes) -> Path:
    path = folder / "classes.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(DRONE, id="as shipped"),
        pytest.param(DRONE.rstrip(), id="no last line end"),
        pytest.param(DRONE.replace(b" ", b""), id="no spaces"),
        pytest.param(b"\xef\xbb\xbf" + DRONE, id="byte-order mark"),
        pytest.param(DRONE.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(DRONE.replace(b"\n", b"\r"), id="CR"),
        pytest.param(DRONE.replace(b"\n", b"\n\n"), id="empty lines"),
        pytest.param(b"\n" + DRONE + b" , , , \n", id="lines of nothing"),
        pytest.param(DRONE.replace(b"name, r, g, b", b" Name ,R,G , B"), id="capitals in the header"),
        pytest.param(DRONE.replace(b"dirt", b'"dirt"'), id="quotes"),
        pytest.param(DRONE.replace(b"64", b"064"), id="leading zero"),
    ],
)
def test_a_class_table_is_read(tmp_path: Path, content: bytes) -> None:
    assert read_class_table(_csv(tmp_path, content)) == TABLE


@pytest.mark.parametrize("name", ["NA", "N/A", "None", "null", "nan"])
def test_names_that_look_like_nothing_are_kept(tmp_path: Path, name: str) -> None:
    content = f"name,r,g,b\n{name},1,2,3\n".encode()
    assert read_class_table(_csv(tmp_path, content)).names == (name,)


@pytest.mark.parametrize("name", ["True", "-", "=1+1", "Bäume", "a b", "a,b", "0", "道路"])
def test_any_other_name_is_kept(tmp_path: Path, name: str) -> None:
    content = f'name,r,g,b\n"{name}",1,2,3\n'.encode()
    assert read_class_table(_csv(tmp_path, content)).names == (name,)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("r,g,b,name\n0,0,0,unlabeled\n128,64,128,paved-area\n130,76,0,dirt\n", id="order of columns"),
        pytest.param("Name,Red,Green,Blue\nunlabeled,0,0,0\npaved-area,128,64,128\ndirt,130,76,0\n", id="words"),
        pytest.param(
            "id,name,r,g,b\n2,dirt,130,76,0\n0,unlabeled,0,0,0\n1,paved-area,128,64,128\n", id="ids in any order"
        ),
        pytest.param(
            "class,r,g,b,Class ID\nunlabeled,0,0,0,0\npaved-area,128,64,128,1\ndirt,130,76,0,2\n", id="ids at the end"
        ),
    ],
)
def test_columns_stand_in_any_order_and_ids_order_the_rows(tmp_path: Path, content: str) -> None:
    assert read_class_table(_csv(tmp_path, content.encode())) == TABLE


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ("0 1 1", "line 4: id 1 stands on line 3 already"),
        ("1 2 3", r"classes\.csv: id 0 is missing; expected every id from 0 to 2 for 3 classes"),
        ("0 1 7", r"classes\.csv: id 2 is missing"),
        ("0 1 255", "line 4: a whole number 0 to 254 expected, '255' found"),
        ("0 1 x", "line 4: a whole number 0 to 254 expected, 'x' found"),
    ],
)
def test_ids_that_are_not_one_for_each_class_are_refused(tmp_path: Path, ids: str, reason: str) -> None:
    rows = "".join(
        f"{index},{letter},{place},0,0\n" for place, (index, letter) in enumerate(zip(ids.split(), "abc", strict=True))
    )
    with pytest.raises(ClassTableError, match=reason):
        read_class_table(_csv(tmp_path, f"id,name,r,g,b\n{rows}".encode()))


@pytest.mark.parametrize(
    "header",
    [
        "name,r,r,b",
        "name,r,g",
        "name,r,g,b,a",
        "id,r,g,b",
        "id,name,r,g,b,class",
        "name,hex",
        "unlabeled,0,0,0",
        "name,r,g,b,",
    ],
)
def test_another_header_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(
        ClassTableError,
        match=rf"classes\.csv, line 1: {HEADER}; \[",
    ):
        read_class_table(_csv(tmp_path, f"{header}\ndirt,130,76,0\n".encode()))


def test_semicolons_are_named_as_the_cause(tmp_path: Path) -> None:
    with pytest.raises(ClassTableError, match=r"line 1: header .*separated by ';', expected ','"):
        read_class_table(_csv(tmp_path, DRONE.replace(b",", b";")))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ClassTableError,
        match=rf"classes\.csv, line 1: {HEADER}; \[\] found",
    ):
        read_class_table(_csv(tmp_path, b""))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("water,0,0,255,9", r"4 cells expected, 5 found: \['water', '0', '0', '255', '9'\]"),
        ("water,0,0", r"4 cells expected, 3 found"),
        ("water;0;0;255", r"4 cells expected, 1 found"),
        ("water,0.5,0,255", r"a whole number 0 to 255 expected, '0\.5' found"),
        ("water,0,256,255", r"a whole number 0 to 255 expected, '256' found"),
        ("water,0,0,-1", r"a whole number 0 to 255 expected, '-1' found"),
        ("water,0,,255", r"a whole number 0 to 255 expected, '' found"),
        ("water,0xff,0,255", r"a whole number 0 to 255 expected, '0xff' found"),
        ("water,1e2,0,255", r"a whole number 0 to 255 expected, '1e2' found"),
        ("water,1_0,0,255", r"a whole number 0 to 255 expected, '1_0' found"),
        ("water,+1,0,255", r"a whole number 0 to 255 expected, '\+1' found"),
        ("water,\u0663,0,255", r"a whole number 0 to 255 expected, '\u0663' found"),
        ("water,\u00b2,0,255", r"a whole number 0 to 255 expected, '\u00b2' found"),
        ("water," + "9" * 5000 + ",0,255", r"a whole number 0 to 255 expected, '9+' found"),
        (" ,0,0,255", "the class has no name"),
        ("dirt,9,9,9", "dirt stands on line 4 already"),
        ("water,128,64,128", r"\(128, 64, 128\) stands on line 3 already"),
        ('"water,0,0,255', "unexpected end of data"),
        ('"water"s,0,0,255', "expected after"),
    ],
)
def test_a_bad_row_is_refused_by_its_line(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(ClassTableError, match=rf"classes\.csv, line 5: .*{reason}"):
        read_class_table(_csv(tmp_path, DRONE + row.encode()))


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r", b"\n\n"])
def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path, ending: bytes) -> None:
    content = (DRONE + b"water,0,0,256\n").replace(b"\n", ending)
    line = 9 if ending == b"\n\n" else 5
    with pytest.raises(ClassTableError, match=f"line {line}: "):
        read_class_table(_csv(tmp_path, content))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    content = DRONE.decode().replace("dirt", "Bäume").encode(encoding)
    with pytest.raises(ClassTableError, match=r"classes\.csv: not UTF-8 text \(byte \d+\)"):
        read_class_table(_csv(tmp_path, content))


def test_utf16_without_a_byte_order_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassTableError, match=r"classes\.csv, line 1: "):
        read_class_table(_csv(tmp_path, DRONE.decode().encode("utf-16-le")))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClassTableError, match=r"gone\.csv: cannot be read: No such file"):
        read_class_table(tmp_path / "gone.csv")


def _rows(count: int) -> bytes:
    return "\n".join(["name,r,g,b", *(f"c{k},{k % 256},{k // 256},0" for k in range(count))]).encode()


@pytest.mark.parametrize("count", [0, MAX_CLASSES + 1])
def test_no_class_and_too_many_classes_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ClassTableError, match=rf"classes\.csv: a class table needs 1 to 255 classes, got {count}"):
        read_class_table(_csv(tmp_path, _rows(count)))


@pytest.mark.parametrize("count", [1, MAX_CLASSES])
def test_label_255_is_never_a_class(tmp_path: Path, count: int) -> None:
    table = read_class_table(_csv(tmp_path, _rows(count)))
    assert len(table) == count
    assert not table.palette()[255].any()


def test_names_and_colours_go_in_pairs() -> None:
    with pytest.raises(ClassTableError, match="2 class names but 1 colours"):
        ClassTable(("a", "b"), ((0, 0, 0),))


def test_the_palette_is_opaque_for_classes_and_clear_for_the_rest() -> None:
    palette = TABLE.palette()
    assert palette.shape == (256, 4)
    assert palette.dtype == np.uint8
    assert palette[:3].tolist() == [[0, 0, 0, 255], [128, 64, 128, 255], [130, 76, 0, 255]]
    assert not palette[3:].any()


@pytest.mark.parametrize("count", [0, 1, 24, 255])
def test_made_up_colours_are_all_different(count: int) -> None:
    colours = distinct_colours(count)
    assert len(colours) == len(set(colours)) == count
    assert all(0 <= level <= 255 for colour in colours for level in colour)


def test_made_up_colours_stay_when_classes_are_added() -> None:
    assert distinct_colours(255)[:24] == distinct_colours(24)
