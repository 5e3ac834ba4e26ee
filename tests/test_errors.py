"""Errors form the tree that is drawn, keep their messages between processes, and become one text for people."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import segment.errors
import tiler.errors
from segment.errors import DeviceLostError, ImageMemoryError, SegmentError
from tiler.errors import (
    ChannelError,
    CoverError,
    DiskFullError,
    GridError,
    LimitError,
    NoseamError,
    OutputExistsError,
    PairError,
    RasterReadError,
    RasterWriteError,
    advice_of,
    reason_of,
)

_NODE = re.compile(r"^((?:│   |    )*)([├└]── )?(\w+Error)(?: \((\w+)\))?$")


def _errors() -> list[type[NoseamError]]:
    """Return every class of errors, whoever defines it, below the root."""
    found = [NoseamError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def _drawn(module: ModuleType) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each error of a drawing, the one above it, and the built-in error that it is too."""
    above: list[str] = []
    for line in (module.__doc__ or "").splitlines():
        if match := _NODE.match(line):
            depth = len(match[1]) // 4 + bool(match[2])
            yield match[3], above[depth - 1] if depth else None, match[4]
            above[depth:] = [match[3]]


def _bases(kind: type[NoseamError]) -> tuple[str, str | None, str | None]:
    ours = [base.__name__ for base in kind.__bases__ if issubclass(base, NoseamError)]
    others = [base.__name__ for base in kind.__bases__ if base.__name__ not in {*ours, "Exception"}]
    return kind.__name__, ours[0] if ours else None, others[0] if others else None


def test_the_drawings_show_the_tree_as_it_is() -> None:
    drawn = [*_drawn(tiler.errors), *_drawn(segment.errors)]
    assert set(drawn) == {_bases(kind) for kind in _errors()}
    assert [name for name, *_ in drawn].count("NoseamError") == 2
    assert len(drawn) == len(set(drawn)) + 1


def test_every_error_of_the_two_modules_stands_below_the_root() -> None:
    for module in (tiler.errors, segment.errors):
        kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)]
        assert len(kinds) > 10
        assert all(issubclass(kind, NoseamError) for kind in kinds)


@pytest.mark.parametrize("kind", _errors())
def test_every_error_survives_pickling_with_its_message(kind: type[NoseamError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("a.tif: 3 bands found, 1 expected")))
    assert type(copy) is kind
    assert str(copy) == "a.tif: 3 bands found, 1 expected"


def _system_error(name: str | None) -> OSError:
    return OSError(2, "No such file or directory", name) if name else OSError(2, "No such file or directory")


@pytest.mark.parametrize(
    ("error", "inputs", "reason"),
    [
        (GridError("no tile fits"), [], "no tile fits"),
        (GridError("no tile fits"), ["a.tif"], "a.tif: no tile fits"),
        (RasterReadError("a.tif: cut off"), ["a.tif"], "a.tif: cut off"),
        (DiskFullError("out/a_label.tif: no space"), ["a.tif"], "a.tif: out/a_label.tif: no space"),
        (DeviceLostError("the GPU is gone"), ["a.tif"], "a.tif: the GPU is gone"),
        (PairError("b.png has no class"), ["a.png", "b.png"], "b.png has no class"),
        (PairError("two sizes"), ["a.png", "b.png"], "a.png and b.png: two sizes"),
        (_system_error(None), ["a.tif"], "a.tif: No such file or directory"),
        (_system_error("a.tif"), ["a.tif"], "a.tif: No such file or directory"),
        (_system_error("dem.tif"), ["a.tif"], "a.tif: dem.tif: No such file or directory"),
        (OSError("the drive hangs"), ["a.tif"], "a.tif: OSError: the drive hangs"),
        (KeyError("width"), ["a.tif"], "a.tif: KeyError: 'width'"),
        (MemoryError(), ["a.tif"], "a.tif: MemoryError"),
    ],
)
def test_a_reason_says_what_failed_and_names_a_file(error: Exception, inputs: list[str], reason: str) -> None:
    assert reason_of(error, *map(Path, inputs)) == reason


def _because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RasterReadError("truncated"), "copy the file again"),
        (LimitError("too large"), "--max-megapixels"),
        (ChannelError("5 channels"), "--channels 1,2,3"),
        (DiskFullError("full"), "free some space"),
        (RasterWriteError("gone"), "can be written to"),
        (OutputExistsError("foreign"), "--overwrite"),
        (ImageMemoryError("wide"), "more memory"),
        (MemoryError(), "more memory"),
        (CoverError("no tile"), "please report it"),
        (KeyError("width"), "please report it"),
        (PairError("two sizes"), "the reason says what was expected"),
        (OSError(5, "Input/output error"), "a drive fails"),
        (PermissionError(13, "Permission denied"), "who may read and write"),
        (_because(RasterReadError("a"), OSError(13, "Permission denied")), "who may read and write"),
        (_because(RasterReadError("a"), OSError(2, "No such file")), "its drive is connected"),
        (_because(RasterReadError("a"), UnicodeEncodeError("utf-8", "x", 0, 1, "no")), "plain letters"),
        (_because(DiskFullError("a"), OSError(28, "No space left on device")), "free some space"),
    ],
)
def test_what_helps_follows_from_the_kind_of_failure(error: Exception, advice: str) -> None:
    assert advice in advice_of(error)


def test_errors_of_both_floors_are_caught_by_one_name() -> None:
    assert issubclass(SegmentError, NoseamError)
    for error in (GridError("tiler"), DeviceLostError("segment")):
        with pytest.raises(NoseamError, match=str(error)):
            raise error
