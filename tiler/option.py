"""A field of a request says all about one option: name, default, unit, bounds, choices and help.

The command line, `noseam.toml`, the variables, the checks and the reference page are made from these fields.
Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Group = Literal["input", "variation", "model", "output", "place", "polygons", "workers", "limits", "records", ""]
"""Headings under which a long help lists its options; empty: under none."""
_Request = TypeVar("_Request")
_KEY = "option"
REQUIRED: Any = MISSING
"""The default of an option that must be given."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field of a request says about its option, besides name, type and default."""

    help: str
    """One or two sentences for the user, with a subject, true without the flag beside them."""
    unit: str = ""
    """What a value is counted in, or what stands for it in the help."""
    least: float | None = None
    """Least number that is allowed."""
    most: float | None = None
    """Greatest number that is allowed."""
    above: float | None = None
    """A number that every allowed one exceeds."""
    below: float | None = None
    """A number that every allowed one is less than."""
    multiple: int = 1
    """A whole number that divides every allowed one."""
    flag: str = ""
    """Name on the command line; empty: made from the field's, see `flag_of`."""
    shown: str = ""
    """What happens by default, for the help, where the default itself does not say it."""
    group: Group = ""
    """Where a long help lists it."""
    path: Literal["file", "folder", "any"] = "any"
    """What a path may lead to."""
    exists: bool = False
    """Whether a path must lead to something."""
    positional: bool = False
    """Whether the command line takes it by its place, without a flag."""
    between: str = ","
    """What parts the texts of a tuple in a variable, where there is one text for all."""
    read: Callable[[str], Any] | None = None
    """Makes the value from a text, where the type alone does not tell how; raises ValueError of other texts."""


@dataclass(frozen=True)
class Asked:
    """One option of a request."""

    name: str
    """Name of the field, and of the keyword in Python."""
    kind: Any
    """Type of its values, None aside."""
    default: Any
    """Value if none is given; `dataclasses.MISSING`: one must be given."""
    option: Option
    """What else is known of it."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that are allowed, where they can be listed."""
        one = get_args(self.kind)[0] if get_origin(self.kind) is frozenset else self.kind
        kinds = get_args(one) if get_origin(one) in {Union, UnionType} else (one,)
        if any(get_origin(kind) is not Literal for kind in kinds):
            return ()
        return tuple(each for kind in kinds if get_origin(kind) is Literal for each in get_args(kind))

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    @property
    def flag(self) -> str:
        """Name on the command line, such as `--window` of `window_px`."""
        return self.option.flag or flag_of(self.name)


def option(default: Any, help: str, **known: Any) -> Any:
    """Return a dataclass field that is an option; `known` are fields of `Option`. REQUIRED stands for no default."""
    return field(default=default, metadata={_KEY: Option(help=help, **known)})


def class_table(shown: str, group: Group = "") -> Any:
    """Return the field of a class table, which several requests have; `shown` says what counts without one."""
    return option(
        None,
        "This class table names and colours the classes: name, r, g, b; one row for each class, in order of id, or "
        "with a column id.",
        unit="CSV", shown=shown, path="file", exists=True, group=group,
    )  # fmt: skip


def flag_of(name: str) -> str:
    """Return the flag of a field: its name without a unit of length, area or time, because the help says the unit."""
    for unit in ("_px", "_m2", "_m", "_min"):
        name = name.removesuffix(unit)
    return "--" + name.replace("_", "-")


def options_in(request: Any) -> Iterator[Asked]:
    """Yield the options of a request, those of the groups within it too, in the order of the fields."""
    for each, kind in _typed_fields(request):
        if _KEY in each.metadata:
            yield Asked(each.name, _without_none(kind), each.default, each.metadata[_KEY])
        elif is_dataclass(kind):
            yield from options_in(kind)


def gather(request: Callable[..., _Request], values: Mapping[str, Any]) -> _Request:
    """Return a request from flat keywords; the groups of options within it get those that are theirs.

    Text may stand for a path or for what an option reads, and a path for a tuple of paths. Any iterable may stand for a
    tuple or a set.

    Raises
    ------
    NoseamError
        If the request refuses a value. The class is the one that the request gives to `check`.
    """
    found: dict[str, Any] = {}
    for each, kind in _typed_fields(request):
        if _KEY in each.metadata and each.name in values:
            found[each.name] = _converted(values[each.name], _without_none(kind), each.metadata[_KEY])
        elif _KEY not in each.metadata and is_dataclass(kind):
            found[each.name] = gather(kind, values)  # type: ignore[arg-type]
    return request(**found)


def check(request: Any, error: type[Exception]) -> None:
    """Raise unless every option of a request is of its type, one of its choices and within its bounds.

    Parameters
    ----------
    request : dataclass
        Its fields that are options are looked at; groups within it look at their own.
    error : type
        What to raise.
    """
    whole: Any = type(request)
    for each, kind in _typed_fields(whole):
        if _KEY not in each.metadata:
            continue
        value = getattr(request, each.name)
        if not (_fits(value, kind) and _within(value, each.metadata[_KEY])):
            expected = expectation(Asked(each.name, _without_none(kind), each.default, each.metadata[_KEY]))
            raise error(f"{each.name}: {expected} expected, {value!r:.80} found")


def expectation(asked: Asked) -> str:
    """Return in words what values an option takes."""
    if asked.choices:
        several = get_origin(asked.kind) is frozenset
        return f"{'a set of' if several else 'one of'} {', '.join(asked.choices)}"
    inner = get_args(asked.kind)
    if get_origin(asked.kind) is tuple:
        what = f"a tuple of {'' if inner[-1] is Ellipsis else len(inner)} {_SEVERAL[inner[0]]}".replace("  ", " ")
    else:
        what = " or ".join(_ONE.get(kind) or f"a {kind.__name__}" for kind in _plain_kinds(asked.kind))
    text = f", or text such as {asked.option.unit}" if asked.option.read else ""
    return f"{what}{bounds(asked.option)}{text}"


def bounds(known: Option) -> str:
    """Return in words the numbers that an option takes, after a blank; empty without bounds."""
    low = f" from {known.least:.10g}" if known.least is not None else ""
    low = f" above {known.above:.10g}" if known.above is not None else low
    high = f" to {known.most:.10g}" if known.most is not None else ""
    high = f" below {known.below:.10g}" if known.below is not None else high
    return low + high + (f", a multiple of {known.multiple}" if known.multiple > 1 else "")


_ONE = {int: "a whole number", float: "a finite number", bool: "True or False", str: "text", Path: "a Path"}
_SEVERAL = {int: "whole numbers", float: "finite numbers", str: "texts", Path: "Paths"}


def _plain_kinds(kind: Any) -> tuple[Any, ...]:
    """Return the types of a value but for words, which its unit names."""
    kinds = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return tuple(each for each in kinds if get_origin(each) is not Literal)


@cache
def _typed_fields(request: Any) -> tuple[tuple[Field[Any], Any], ...]:
    kinds = get_type_hints(request)
    return tuple((each, kinds[each.name]) for each in fields(request))


def _without_none(kind: Any) -> Any:
    kinds = [each for each in get_args(kind) if each is not NoneType]
    return kinds[0] if get_origin(kind) in {Union, UnionType} and len(kinds) == 1 else kind


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a value is of a type; a bool is no number, and a number is finite."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is frozenset:
        return isinstance(value, frozenset) and all(_fits(each, inner[0]) for each in value)
    if origin is tuple:
        return isinstance(value, tuple) and _fit(value, inner)
    if kind in {int, float}:
        number = Integral if kind is int else Real
        return isinstance(value, number) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind)


def _fit(values: tuple[Any, ...], kinds: tuple[Any, ...]) -> bool:
    if kinds[-1] is Ellipsis:
        return all(_fits(value, kinds[0]) for value in values)
    return len(values) == len(kinds) and all(map(_fits, values, kinds))


def _within(value: Any, known: Option) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return all(_allowed(number, known) for number in numbers if isinstance(number, Real))


def _allowed(number: Any, known: Option) -> bool:
    return (
        (known.least is None or number >= known.least)
        and (known.most is None or number <= known.most)
        and (known.above is None or number > known.above)
        and (known.below is None or number < known.below)
        and (known.multiple == 1 or number % known.multiple == 0)
    )


def _converted(value: Any, kind: Any, known: Option) -> Any:
    if isinstance(value, str) and kind is not str:
        value = known.read(value) if known.read is not None else value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind == tuple[Path, ...] and isinstance(value, (str, Path)):
        return (Path(value),)
    if isinstance(value, Iterable) and not isinstance(value, str) and get_origin(kind) in {tuple, frozenset}:
        several = tuple(value) if get_origin(kind) is tuple else frozenset(value)
        return tuple(map(_as_path, several)) if get_args(kind)[0] is Path else several
    return value


def _as_path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) else value
