"""Polygons with what a file says of each, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow
import shapely
from numpy.typing import NDArray

FIELDS = [
    pyarrow.field("class_id", pyarrow.int32()),
    pyarrow.field("class_name", pyarrow.string()),
    pyarrow.field("area_m2", pyarrow.float64()),
    pyarrow.field("source", pyarrow.string()),
    pyarrow.field("model", pyarrow.string()),
]
"""What files say of a polygon. No name is longer than the 10 letters that a shapefile takes."""
FIELD_NAMES = [field.name for field in FIELDS]
GEOMETRY = pyarrow.field("geometry", pyarrow.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
SCHEMA = pyarrow.schema([*FIELDS, GEOMETRY])


@dataclass(frozen=True, slots=True)
class Features:
    """Some polygons with what the file says of each."""

    polygons: NDArray[np.object_]
    """Polygons (shapely) in the coordinates of the file, shape (n,)."""
    class_ids: NDArray[np.uint8]
    """Class of each."""
    class_names: Sequence[str]
    """Its name."""
    areas_m2: NDArray[np.float64] | None
    """Its ground area; None where that is not known."""
    source: str
    """The image that they were found in."""
    model: str | None
    """The model that found them."""


def record_batch(features: Features) -> Any:
    """Return polygons as a record batch of `SCHEMA`."""
    count = len(features.polygons)
    columns = [
        pyarrow.array(features.class_ids.astype(np.int32)),
        pyarrow.array(features.class_names, pyarrow.string()),
        pyarrow.nulls(count, pyarrow.float64()) if features.areas_m2 is None else pyarrow.array(features.areas_m2),
        pyarrow.repeat(pyarrow.scalar(features.source, pyarrow.string()), count),
        pyarrow.repeat(pyarrow.scalar(features.model, pyarrow.string()), count),
        pyarrow.array(shapely.to_wkb(features.polygons), pyarrow.binary()),
    ]
    return pyarrow.RecordBatch.from_arrays(columns, schema=SCHEMA)
