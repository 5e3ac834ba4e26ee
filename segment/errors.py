"""Errors of models and runs.

`tiler.errors` draws the rest of the tree, and says what the brackets mean.

NoseamError
└── SegmentError
    ├── CheckpointError (ValueError)
    │   └── ModelNameError
    ├── DeviceError (RuntimeError)
    │   ├── DeviceMemoryError
    │   └── DeviceLostError
    ├── EngineError (RuntimeError)
    ├── DemoError (FileExistsError)
    ├── EvaluateError (ValueError)
    ├── RequestError (ValueError)
    ├── TrainError (ValueError)
    ├── FolderInUseError (RuntimeError)
    ├── ShardError (ValueError)
    ├── ImageMemoryError (MemoryError)
    ├── WorkersError (RuntimeError)
    │   ├── SchedulerLostError
    │   └── WorkerEndedError
    └── RecordError (OSError)
"""

from __future__ import annotations

from tiler.errors import NoseamError


class SegmentError(NoseamError):
    """Root of every error that `segment` raises on purpose."""


class CheckpointError(SegmentError, ValueError):
    """A checkpoint is missing, damaged, or not the model it should be."""


class ModelNameError(CheckpointError):
    """A model was named that is not there, is no SegFormer, or could be one of two."""


class DeviceError(SegmentError, RuntimeError):
    """A device or precision was asked for that this machine does not have."""


class DeviceMemoryError(DeviceError):
    """The memory of a device does not suffice."""

    advice = "a smaller --batch-size or --input needs less memory; so does --device cpu"


class DeviceLostError(DeviceError):
    """A device failed in a way that only a new process may recover from, so the run ends."""


class EngineError(SegmentError, RuntimeError):
    """An engine cannot run a network, or does not answer tile for tile."""


class DemoError(SegmentError, FileExistsError):
    """The demo would write over files that it did not make."""


class EvaluateError(SegmentError, ValueError):
    """Predictions and truth cannot be compared, or the report on them cannot be written."""


class RequestError(SegmentError, ValueError):
    """The options of a run are impossible, or do not go with each other, with the sources or with the model."""


class TrainError(SegmentError, ValueError):
    """A training cannot start, go on or end as it was asked for."""


class FolderInUseError(SegmentError, RuntimeError):
    """Another run is writing to the output folder."""


class ShardError(SegmentError, ValueError):
    """A survey has no such part."""


class ImageMemoryError(MemoryError, SegmentError):  # in this order tblib, which dask uses, can pickle it
    """An image is too wide for the memory of this machine."""

    advice = "cut the image into narrower ones, or use a machine with more memory"


class WorkersError(SegmentError, RuntimeError):
    """The workers of a run cannot be started or found, do not see its files, or do not fit together."""


class SchedulerLostError(WorkersError):
    """The scheduler of a cluster does not answer any more, so the run ends."""


class WorkerEndedError(WorkersError):
    """Processes ended whenever they worked on an image."""

    advice = "fewer --workers leave each more memory; if that does not help, take the image out, and please report it"


class RecordError(SegmentError, OSError):
    """The record of a run cannot be written."""
