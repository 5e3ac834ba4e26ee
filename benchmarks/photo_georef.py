"""Measure how well photos that overlap agree on the ground where `tiler.photo` places them by their EXIF and XMP.

Run from the repository, inside its virtual environment with the extra `photo` and opencv-python-headless:

    python benchmarks/photo_georef.py PHOTO PHOTO PHOTO...

Features (SIFT, ratio test, RANSAC homography) are matched between consecutive photos. Both places of each
match are taken to the ground by the two photos' placements. How far apart they land is the error of the two
placements together, with the relief. The same is done for other ways of placing the photos. Then the shift,
turn and scale that bring the places of one photo best onto those of the other say how much is systematic.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from measure import table
from numpy.typing import NDArray
from pyproj import Proj, Transformer
from rasterio import Affine

from tiler.photo.options import PoseOptions
from tiler.photo.pose import place_photo
from tiler.photo.tags import read_tags
from tiler.source.raster import read_info

cv2: Any = import_module("cv2")
RATIO = 0.75
RANSAC_PX = 8.0
FEWEST = 20
"""Photos with fewer matches than this do not overlap."""
Points = NDArray[np.float64]


def chosen(path: Path, options: PoseOptions = PoseOptions()) -> Affine:  # noqa: B008
    """Return the transform as `place_photo` makes it."""
    return place_photo(path, *read_info(path).shape, options).georeference.transform


def flight_yaw(path: Path) -> Affine:
    return chosen(path, PoseOptions(yaw_source="flight"))


def own_diagonal(path: Path) -> Affine:
    """Return the transform if the 35 mm equivalent is taken to refer to the image's own diagonal."""
    equivalent = read_tags(path).number("FocalLengthIn35mmFilm") or 0
    return chosen(path, PoseOptions(focal_px=equivalent * float(np.hypot(*read_info(path).shape) / np.hypot(36, 24))))


def no_convergence(path: Path) -> Affine:
    """Return the transform if true north is taken for the north of the grid."""
    height, width = read_info(path).shape
    placement = place_photo(path, height, width, PoseOptions())
    centre = placement.georeference.transform @ (width / 2, height / 2)
    crs = placement.georeference.crs
    place = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*centre)
    turn = -Proj(crs).get_factors(*place).meridian_convergence
    return Affine.rotation(turn, pivot=centre) @ placement.georeference.transform


WAYS: dict[str, Callable[[Path], Affine]] = {
    "as chosen": chosen,
    "flight yaw": flight_yaw,
    "no convergence": no_convergence,
    "diagonal of the image": own_diagonal,
}


def features(path: Path) -> tuple[Points, NDArray[np.float32]]:
    """Return where features lie, in pixels of the photo, and what they look like."""
    gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    small = cv2.resize(gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    keypoints, looks = cv2.SIFT_create(nfeatures=20_000).detectAndCompute(small, None)
    return (np.array([keypoint.pt for keypoint in keypoints]) + 0.5) * 2, looks


def matches(
    first: tuple[Points, NDArray[np.float32]], second: tuple[Points, NDArray[np.float32]]
) -> tuple[Points, Points]:
    """Return places of the same things in two photos, each of shape (matches, 2)."""
    pairs = cv2.BFMatcher().knnMatch(first[1], second[1], k=2)
    good = [best for best, other in pairs if best.distance < RATIO * other.distance]
    here, there = first[0][[match.queryIdx for match in good]], second[0][[match.trainIdx for match in good]]
    _, inliers = cv2.findHomography(here, there, cv2.RANSAC, RANSAC_PX)
    kept = inliers.ravel() > 0
    return here[kept], there[kept]


def on_ground(transform: Affine, places: Points) -> NDArray[np.complex128]:
    """Return map coordinates as complex numbers, x + iy."""
    a, b, c, d, e, f = transform[:6]
    cols, rows = places.T
    return np.asarray(a * cols + b * rows + c + 1j * (d * cols + e * rows + f))


def row(way: str, here: NDArray[np.complex128], there: NDArray[np.complex128]) -> tuple[str, ...]:
    """Return how far apart places lie, and what a shift, turn and scale explain of it."""
    apart = np.abs(here - there)
    centre = here.mean()
    terms = np.stack((here - centre, np.ones_like(here)), axis=-1)
    (scale, moved), *_ = np.linalg.lstsq(terms, there, rcond=None)
    rest = np.abs(terms @ np.array([scale, moved]) - there)
    return (
        way, f"{np.median(apart):.2f}", f"{np.percentile(apart, 90):.2f}", f"{abs(moved - centre):.2f}",
        f"{np.degrees(np.angle(scale)):+.2f}", f"{100 * (abs(scale) - 1):+.2f}", f"{np.median(rest):.2f}",
    )  # fmt: skip


def main() -> None:
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path, help="Photos in the order in which they were taken.")
    photos = parser.parse_args().photos
    found = {path: features(path) for path in photos}
    head = "median, m", "90th percentile, m", "shift, m", "turn, degrees", "scale, %", "median after these, m"
    rows = []
    for first, second in pairwise(photos):
        here, there = matches(found[first], found[second])
        pair = f"{first.stem[-4:]}, {second.stem[-4:]}", f"{len(here)}"
        if len(here) < FEWEST:
            rows.append((*pair, "too few matches", *["" for _ in head]))
            continue
        for way, place in WAYS.items():
            rows.append((*pair, *row(way, on_ground(place(first), here), on_ground(place(second), there))))
    print(table(("photos", "matches", "placed", *head), rows))


if __name__ == "__main__":
    main()
