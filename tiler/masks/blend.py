"""A photo and its mask on top of each other, in the same way wherever noseam shows them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiler.classes import ClassTable

OPACITY = 0.5
"""Share of the mask's colour in a blended pixel."""


def blended(photo: NDArray[np.uint8], labels: NDArray[np.uint8], classes: ClassTable) -> NDArray[np.uint8]:
    """Return the mean of a photo and the colours of its labels; the photo where there is no label.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 3)
        Red, green, blue.
    labels : ndarray of uint8, shape (height, width)
        Class ids; 255 = no label.
    classes : ClassTable
        Their colours.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Half of each, rounded down.
    """
    palette = classes.palette()
    colours, labelled = palette[:, :3], palette[:, 3] > 0
    mixed = (photo >> 1) + np.take(colours >> 1, labels, axis=0) + (photo & np.take(colours, labels, axis=0) & 1)
    return mixed if labelled[labels].all() else np.where(labelled[labels][..., np.newaxis], mixed, photo)
