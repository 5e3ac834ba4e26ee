"""What can go wrong with grids, files and classes."""


class TilerError(Exception):
    """Root of every error that `tiler` raises on purpose."""


class GridError(TilerError, ValueError):
    """A grid was asked for that cannot exist."""


class ChannelError(TilerError, ValueError):
    """The channels of a file do not say which of them are red, green and blue."""


class ClassTableError(TilerError, ValueError):
    """A class table is malformed, or does not fit the model."""


class LabelError(TilerError, ValueError):
    """A mask holds what is no class id and no class's colour."""


class PairError(TilerError, ValueError):
    """Two folders cannot be paired file by file."""


class NoPairError(PairError):
    """Two folders have no file in common."""


class CropRequestError(TilerError, ValueError):
    """Training crops were asked for that cannot be cut."""


class CropIndexError(TilerError, ValueError):
    """A folder of training crops is missing, incomplete or malformed."""


class SceneError(TilerError, ValueError):
    """Scenes were asked for that cannot be made."""


class PoseError(TilerError, ValueError):
    """A photo does not say well enough where and how it was taken to be placed on the ground."""


class RasterReadError(TilerError, OSError):
    """A file is not an accepted image, or its pixels cannot be read."""


class RasterWriteError(TilerError, OSError):
    """An output could not be written whole."""


class DiskFullError(RasterWriteError):
    """An output could not be written whole for want of space."""


class OutputExistsError(TilerError, FileExistsError):
    """A file that noseam did not write stands where an output belongs."""


class OutputClashError(TilerError, ValueError):
    """Two sources would write one output."""


class PolygonError(TilerError, ValueError):
    """Polygons were asked for that a mask cannot give."""


class MissingExtraError(TilerError, ImportError):
    """A package is missing that only some commands need."""


class CoverError(TilerError):
    """A pixel that needs a label received no weight from any tile."""


class LogitsError(TilerError, ValueError):
    """The network's logits for a tile are unusable: a wrong shape, NaN or infinity."""
