"""noseam for Python: `noseam.segment("survey", "masks", model="model")` and its sisters."""

from segment.api import adapt, crop, doctor, evaluate, plan, polygons, report, review, segment, status, train
from tiler.errors import NoseamError

__all__ = [
    "NoseamError",
    "adapt",
    "crop",
    "doctor",
    "evaluate",
    "plan",
    "polygons",
    "report",
    "review",
    "segment",
    "status",
    "train",
]
