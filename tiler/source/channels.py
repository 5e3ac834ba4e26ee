"""Which channels of a file are red, green and blue, and which one marks valid pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tiler.errors import ChannelError, ColourError
from tiler.source.raster import RasterInfo

_RGB = ("red", "green", "blue")
_UNREADABLE_SPACES = frozenset({"CMYK", "CIELAB", "ICCLAB", "ITULAB"})
_INKS = frozenset({"cyan", "magenta", "yellow", "black"})
_SURE_INKS = frozenset({"cyan", "magenta"})
"""Where a file has neither of them, yellow is light, as in some satellites' images."""
_BRIGHTNESS = frozenset({"lightness", "Y"})
_NO_RGB = frozenset({"hue", "saturation", "Cb", "Cr"}) | _BRIGHTNESS
_SAVE_AS_RGB = (
    "save it as RGB, with a program for photos or by: "
    """python -c "from PIL import Image; Image.MAX_IMAGE_PIXELS = None; """
    """Image.open('cmyk.tif').convert('RGB').save('rgb.tif')\""""
)


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels to read, numbered from 1 as GIS programs do."""

    colour: tuple[int, ...]
    """Three channels (red, green, blue), or one that stands for all three."""
    valid: int | None
    """Channel whose zeros mark invalid pixels."""
    palette: bool
    """Whether the one channel holds palette indices."""
    dataset_mask: bool
    """Whether the file's own nodata, alpha or internal mask marks invalid pixels."""
    nodata: float | None = None
    """Value that marks invalid samples of the colour channels; given where the file's alpha is set aside."""
    note: str = ""
    """What was assumed, for the log; empty where the file says it all."""


def choose_channels(info: RasterInfo, asked: tuple[int, ...] = ()) -> Channels:
    """Return the channels to read from a file.

    Parameters
    ----------
    info : RasterInfo
        What the header says.
    asked : tuple of int
        The user's choice: one channel, three, or three and a valid channel. An alpha channel that is not
        among them then marks nothing: near-infrared of 8 bits often calls itself alpha.

    Raises
    ------
    ChannelError
        If the header does not say which channels are red, green and blue, if they are sure to be other colours,
        such as inks, or if the choice does not fit the file.
    """
    if info.dtype.startswith("complex"):
        raise ColourError(f"{info.path}: {info.dtype} samples; expected real numbers, such as the amplitude")
    if info.colour_space == "YCCK" or (info.driver == "GTiff" and info.colour_space in _UNREADABLE_SPACES):
        raise _other_colours(info, info.colour_space)
    if asked:
        return _asked(info, asked)
    names = info.interpretations
    if all(names.count(name) == 1 for name in _RGB):
        colour = tuple(names.index(name) + 1 for name in _RGB)
        return Channels(colour, valid=None, palette=False, dataset_mask=info.masked)
    if names[0] in {"gray", "palette"} and set(names[1:]) <= {"alpha"}:
        return Channels((1,), valid=None, palette=names[0] == "palette", dataset_mask=info.masked)
    _refuse_other_colours(info, names if len(names) == 3 else _INKS.intersection(names))
    if len(names) == 3 and "alpha" not in names:
        note = f"channels are {', '.join(names)}; they are taken as red, green, blue (--channels names others)"
        return Channels((1, 2, 3), valid=None, palette=False, dataset_mask=info.masked, note=note)
    raise ChannelError(
        f"{info.path}: {len(names)} channels ({', '.join(names)}) do not say which are red, green and blue; "
        "name them with --channels, such as --channels 1,2,3"
    )


def _asked(info: RasterInfo, asked: tuple[int, ...]) -> Channels:
    if max(asked) > len(info.interpretations):
        raise ChannelError(f"{info.path}: channel {max(asked)} was asked for, the file has {len(info.interpretations)}")
    _refuse_other_colours(info, [info.interpretations[number - 1] for number in asked[:3]])
    aside = "alpha" in info.interpretations  # the file's own mask counts alpha in, so it cannot be used
    return Channels(
        colour=asked[:3],
        valid=asked[3] if len(asked) == 4 else None,
        palette=len(asked) == 1 and info.interpretations[asked[0] - 1] == "palette",
        dataset_mask=info.masked and not aside,
        nodata=info.nodata if aside else None,
    )


def _refuse_other_colours(info: RasterInfo, used: Collection[str]) -> None:
    """Raise where channels that would be red, green and blue, or grey, say that they are other colours."""
    if _SURE_INKS.intersection(info.interpretations) and _INKS.intersection(used):
        raise _other_colours(info, "CMYK")
    others = (_NO_RGB if len(set(used)) > 1 else _NO_RGB - _BRIGHTNESS).intersection(used)
    if others:
        raise _other_colours(info, ", ".join(info.interpretations))


def _other_colours(info: RasterInfo, found: str) -> ColourError:
    advice = _SAVE_AS_RGB if found in {"CMYK", "YCCK"} else "convert it to RGB"
    lost = "; a world file beside the new file says where it lies" if info.georeference.present else ""
    return ColourError(f"{info.path}: colours are stored as {found}; expected RGB, grey or a palette; {advice}{lost}")
