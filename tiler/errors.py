"""Errors that noseam raises on purpose, as one tree; those of models and runs stand in `segment.errors`.

An error is also the built-in error that its brackets name, so that callers can catch it without noseam's own names.

NoseamError
├── TilerError
│   ├── OptionError (ValueError)
│   ├── GridError (ValueError)
│   ├── ChannelError (ValueError)
│   │   └── ColourError
│   ├── ClassTableError (ValueError)
│   ├── LabelError (ValueError)
│   ├── PairError (ValueError)
│   │   └── NoPairError
│   ├── CropRequestError (ValueError)
│   ├── CropIndexError (ValueError)
│   │   └── NoCropsError
│   ├── SceneError (ValueError)
│   ├── PoseError (ValueError)
│   ├── RasterReadError (OSError)
│   │   ├── FormatError
│   │   ├── LimitError
│   │   └── ChangedError
│   ├── RasterWriteError (OSError)
│   │   └── DiskFullError
│   ├── OutputExistsError (FileExistsError)
│   ├── OutputClashError (ValueError)
│   ├── PolygonError (ValueError)
│   │   └── PolygonRequestError
│   ├── MissingExtraError (ImportError)
│   ├── CoverError
│   └── LogitsError (ValueError)
└── SegmentError, whose own tree stands in `segment.errors`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar


class NoseamError(Exception):
    """Root of every error that noseam raises on purpose; its message is one sentence that a user can act on."""

    advice: ClassVar[str] = "the reason says what was expected"
    """What helps where it cost one file of many; see `advice_of`."""


class TilerError(NoseamError):
    """Root of every error that `tiler` raises on purpose."""


class OptionError(TilerError, ValueError):
    """An option has a value that it cannot have."""


class GridError(TilerError, ValueError):
    """A grid was asked for that cannot exist."""

    advice = "set the scale by --window, or by --gsd"


class ChannelError(TilerError, ValueError):
    """The channels of a file do not say which of them are red, green and blue."""

    advice = "save it as RGB; if it holds red, green and blue, name them with --channels, such as --channels 1,2,3"


class ColourError(ChannelError):
    """The channels of a file are sure to be no red, green and blue."""

    advice = "save it as RGB, with any image program"


class ClassTableError(TilerError, ValueError):
    """A class table is malformed, or does not fit the model."""


class LabelError(TilerError, ValueError):
    """A mask holds a pixel that is neither a class id nor the colour of a class."""


class PairError(TilerError, ValueError):
    """Two folders cannot be paired file by file."""


class NoPairError(PairError):
    """Two folders have no file in common."""


class CropRequestError(TilerError, ValueError):
    """Training crops were asked for that cannot be cut."""


class CropIndexError(TilerError, ValueError):
    """A folder of training crops is missing, incomplete or malformed."""


class NoCropsError(CropIndexError):
    """A folder holds no training crops at all."""


class SceneError(TilerError, ValueError):
    """Scenes were asked for that cannot be made."""


class PoseError(TilerError, ValueError):
    """A photo does not say well enough where and how it was taken to be placed on the ground."""


class RasterReadError(TilerError, OSError):
    """A file is not an accepted image, or its pixels cannot be read."""

    advice = "copy the file again from the card"


class FormatError(RasterReadError):
    """A file is none of JPEG, PNG and TIFF."""

    advice = "copy the file again from the card; if it is no JPEG, PNG or TIFF, convert it or take it out of the folder"


class LimitError(RasterReadError):
    """A file claims to be larger than is read."""

    advice = "if the file is sound, raise the limit: --max-megapixels, --max-block-mb or --max-pixels-per-byte"


class ChangedError(RasterReadError):
    """A file has changed since its header was read."""

    advice = "wait until nothing writes to the file, then give the same command again"


class RasterWriteError(TilerError, OSError):
    """An output could not be written whole."""

    advice = "look whether the disk and the folder of the masks can be written to"


class DiskFullError(RasterWriteError):
    """An output could not be written whole, because the disk is full."""

    advice = "free some space on the disk of the masks, then give the same command again"


class OutputExistsError(TilerError, FileExistsError):
    """A file or link that noseam did not make stands where an output belongs."""

    advice = "move the file away, or let --overwrite replace it"


class OutputClashError(TilerError, ValueError):
    """Two sources would write one output, or an output would be written over a source."""


class PolygonError(TilerError, ValueError):
    """Polygons were asked for that cannot be made of a mask, or cannot be stored."""

    advice = "leave out --polygons, and make them of the mask with noseam polygons"


class PolygonRequestError(PolygonError):
    """Polygons were asked for of a class, or in a form of file, that is not known."""


class MissingExtraError(TilerError, ImportError):
    """A package is missing that only some commands need."""


class CoverError(TilerError):
    """A tile came twice or out of turn, or a pixel that needs a label got none from any tile."""

    advice = "this is a fault of noseam: please report it"


class LogitsError(TilerError, ValueError):
    """The network's logits for a tile are unusable: a wrong shape, NaN or infinity."""

    advice = "look whether the checkpoint is whole; --precision fp32 may help"


def reason_of(error: BaseException, *inputs: Path) -> str:
    """Return why something failed, as a text for people.

    The message of noseam's own errors and of the operating system is enough. Before any other message stands the
    name of the exception's class, because such a message alone may mean nothing: that of a KeyError is `'width'`.

    Parameters
    ----------
    error : BaseException
        What was raised.
    *inputs : Path
        The files that were worked on. They stand first where the message names none of them.
    """
    if isinstance(error, NoseamError):
        reason = str(error)
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    else:
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
    named = any(str(path) in reason for path in inputs)
    return reason if named or not inputs else f"{' and '.join(map(str, inputs))}: {reason}"


_FAULT = CoverError.advice
_SYSTEM: dict[type[BaseException], str] = {
    UnicodeEncodeError: "give the file a name in plain letters",
    PermissionError: "look who may read and write the file or folder that the reason names",
    FileNotFoundError: "look whether the file was moved, and whether its drive is connected",
}
"""What helps where the operating system refused, whatever noseam made of that."""
_FOREIGN: dict[type[BaseException], str] = {
    OSError: "look whether a drive fails, then give the same command again",
    MemoryError: "use a machine with more memory",
}
"""What helps against errors that are none of noseam's."""


def advice_of(error: BaseException) -> str:
    """Return what helps where one file of many failed, as a text for people; the classes of the error alone decide."""
    chain = list(_causes(error))
    for kind, advice in _SYSTEM.items():
        if any(isinstance(each, kind) for each in chain):
            return advice
    if isinstance(error, NoseamError):
        return error.advice
    return next((advice for kind, advice in _FOREIGN.items() if isinstance(error, kind)), _FAULT)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what raised it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__
