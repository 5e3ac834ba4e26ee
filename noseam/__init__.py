"""noseam for Python: folders of large aerial images to full-resolution semantic masks, with no seams.

import noseam
noseam.segment("survey", "masks", model="model")
"""

from segment.api import crop, evaluate, plan, polygons, segment, train
from tiler.errors import NoseamError

__all__ = ["NoseamError", "crop", "evaluate", "plan", "polygons", "segment", "train"]
