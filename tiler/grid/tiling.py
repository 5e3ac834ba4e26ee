"""How a model wants its images cut: scale (window and input size, or ground sample distance), tile, overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tiler.errors import GridError
from tiler.grid.fit import (
    AUTO,
    BUDGETS,
    DEFAULT_QUALITY,
    Quality,
    TileSize,
    fit_tile,
    least_overlap,
    parse_tile,
    tile_cost,
)
from tiler.grid.tiles import LATTICE_PX, MIN_TILE_PX, Grid, model_shape_of, on_lattice, overlap_pixels, plan_grid
from tiler.option import check, option
from tiler.words import lengths

DEFAULT_INPUT_PX = 512
DEFAULT_OVERLAP = 0.25
MIN_SCALE, MAX_SCALE = 0.001, 8
"""Least and most model pixels per source pixel; a scale beyond them most likely comes from a wrong unit."""
FAR = 3
"""So many times off the resolution that it was trained at, a model is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The cut of an image into tiles; what a checkpoint's `tiling` entry holds."""

    window_px: int | None = DEFAULT_INPUT_PX
    """Side of the source window that becomes `input_px`, source pixels; None: by `gsd_m` alone."""
    input_px: int = DEFAULT_INPUT_PX
    """Side of the crops that the network was trained on, model pixels; a multiple of 32, at least 64."""
    overlap: float = DEFAULT_OVERLAP
    """Least total overlap of neighbouring tiles, as a fraction of `input_px`, or of a shorter side of a tile. Of
    tiles that are chosen, half of it, and more where that is no more work."""
    tile: TileSize = AUTO
    """What goes through the network at once."""
    quality: Quality = DEFAULT_QUALITY
    """What counts where the tile is `AUTO`: little work, or few and large tiles; see `BUDGETS`."""
    gsd_m: float | None = None
    """Ground sample distance that the model expects, metres per model pixel; used instead of
    `window_px` wherever the source says its own."""
    trained_gsd_m: tuple[float, float] | None = None
    """Least and greatest ground sample distance that the model was trained at, metres per model pixel; None: not known.
    It changes no tile; `off_scale` compares images with it."""

    def __post_init__(self) -> None:
        if self.window_px is None and self.gsd_m is None:
            raise GridError("a tiling needs a window or a ground sample distance, got neither")
        if self.window_px is not None and self.window_px < 1:
            raise GridError(f"the window must be at least 1 pixel, got {self.window_px}")
        if self.input_px % LATTICE_PX or self.input_px < MIN_TILE_PX:
            raise GridError(
                f"the input size must be a multiple of {LATTICE_PX} and at least {MIN_TILE_PX} pixels, "
                f"got {self.input_px}"
            )
        if not 0 <= self.overlap < 1:
            raise GridError(f"the overlap is a fraction of the tile, 0 <= overlap < 1, got {self.overlap}")
        for side in self.tile.shape or (self.input_px,):
            if (stride := side - overlap_pixels(self.overlap, min(side, self.input_px))) < LATTICE_PX:
                raise GridError(
                    f"overlap {self.overlap} of a {side} px tile leaves a stride of {stride} px, "
                    f"the least is {LATTICE_PX} px"
                )
        if self.gsd_m is None:
            self.scale()
        if self.gsd_m is not None and not 0 < self.gsd_m < math.inf:
            raise GridError(f"the ground sample distance must be a positive number of metres, got {self.gsd_m}")
        if self.trained_gsd_m is not None and not 0 < self.trained_gsd_m[0] <= self.trained_gsd_m[1] < math.inf:
            low, high = self.trained_gsd_m
            raise GridError(
                f"the trained ground sample distances are metres, 0 < least <= greatest, got {low} and {high}"
            )

    def __str__(self) -> str:
        by_window = f"windows of {self.window_px} px become {self.input_px} px" if self.window_px is not None else ""
        by_gsd = f"{self.gsd_m:g} m per pixel" if self.gsd_m is not None else ""
        scale = " or ".join(filter(None, (by_gsd, by_window)))
        tile = f"chosen for each image ({self.quality})" if self.tile == AUTO else f"of {self.tile} px"
        return f"{scale}, tiles {tile}, overlap {self.overlap:g} of {self.input_px} px"

    def scale(self, source_gsd_m: float | None = None, *, no_gsd: str = "does not say its own") -> float:
        """Return the model pixels per source pixel: the ratio of ground sample distances, or of window and input.

        Parameters
        ----------
        source_gsd_m : float or None
            Ground sample distance of the source, metres per pixel, where it is known.
        no_gsd : str
            Why it is not known, for the error; it goes on after the words "the image", see `Georeference.no_gsd`.

        Returns
        -------
        float
            `source_gsd_m / gsd_m` where both are known, else `input_px / window_px`.

        Raises
        ------
        GridError
            If this tiling has a ground sample distance alone and that of the source is not known, or
            if the image would be enlarged more than 8 or reduced more than 1000 times.
        """
        if self.gsd_m is not None and source_gsd_m is not None:
            scale = source_gsd_m / self.gsd_m
        elif self.window_px is not None:
            scale = self.input_px / self.window_px
        else:
            raise GridError(
                f"a ground sample distance of {self.gsd_m} m was asked for, but the image {no_gsd}, "
                "or use --window and --input"
            )
        if scale > MAX_SCALE:
            raise GridError(f"the image would be enlarged {scale:.1f} times, {MAX_SCALE} is the most")
        if scale < MIN_SCALE:
            raise GridError(f"the image would be reduced {1 / scale:.0f} times, {1 / MIN_SCALE:.0f} is the most")
        return scale

    def grid(
        self, source_shape: tuple[int, int], *, scale: float, balance_px: float, shift: tuple[int, int] = (0, 0)
    ) -> Grid:
        """Return the tiles of an image.

        Parameters
        ----------
        source_shape : tuple of int
            (height, width) of the file, source pixels.
        scale : float
            Model pixels per source pixel, see `scale`.
        balance_px : float
            What the network says of the cost of tiles, see `fit_tile`.
        shift : tuple of int
            See `plan_grid`.

        Raises
        ------
        GridError
            If the image is empty, or the tiling makes no grid on it.
        """
        tile = self.tile_for(model_shape_of(source_shape, scale), balance_px)
        return plan_grid(source_shape, scale=scale, tile=tile, overlap=self.overlaps(tile), shift=shift)

    def tile_for(self, model_shape: tuple[int, int], balance_px: float) -> tuple[int, int]:
        """Return (height, width) of the tiles of an image whose size in model pixels is given.

        A tile that is asked for is cut to the image, though not below `input_px`.
        """
        if self.tile.shape is None:
            return fit_tile(
                model_shape,
                trained_px=self.input_px,
                overlap_px=overlap_pixels(self.overlap, self.input_px),
                balance_px=balance_px,
                budget=BUDGETS[self.quality],
            )
        height, width = (
            min(side, max(on_lattice(length), self.input_px))
            for side, length in zip(self.tile.shape, model_shape, strict=True)
        )
        return height, width

    def work(self, tile: tuple[int, int], balance_px: float) -> float:
        """Return what a tile (height, width) costs, in tiles of the size that the network was trained at."""
        return tile_cost(tile[0] * tile[1], balance_px) / tile_cost(self.input_px**2, balance_px)

    def overlaps(self, tile: tuple[int, int]) -> tuple[int, int]:
        """Return the least total overlap of neighbouring tiles, along rows and columns, model pixels."""
        return self._overlap_px(tile[0]), self._overlap_px(tile[1])

    def _overlap_px(self, side: int) -> int:
        overlap_px = overlap_pixels(self.overlap, min(side, self.input_px))
        return least_overlap(overlap_px) if self.tile == AUTO else overlap_px

    def off_scale(self, source_gsd_m: float | None, *, estimated: str = "") -> str:
        """Return why the model is not to be trusted with an image: it was trained at 3 or more times another scale.

        Parameters
        ----------
        source_gsd_m : float or None
            Ground sample distance of the source, metres per pixel, where it is known.
        estimated : str
            What that was estimated from, where the source has no georeference, so that the window sets its scale.

        Returns
        -------
        str
            What was found, what was expected and what helps. Empty where the scale fits, or where one of the
            ground sample distances is not known.
        """
        if source_gsd_m is None or self.trained_gsd_m is None:
            return ""
        low, high = self.trained_gsd_m
        seen = source_gsd_m / self.scale(None if estimated else source_gsd_m)
        if low / FAR < seen < high * FAR:
            return ""
        times = f"{_many(max(seen / high, low / seen))} times as {'large' if seen > high else 'small'}"
        size = f"its pixels are {lengths(source_gsd_m)}"
        if estimated:
            size += f" by its EXIF ({estimated}), {lengths(seen)} as the network sees them"
        elif self.gsd_m is not None:
            size = f"its pixels become {lengths(self.gsd_m)}"
        found = f"{size}, {times} as those that the model was trained on"
        nearest = min(max(source_gsd_m, low), high)
        if source_gsd_m > MAX_SCALE * nearest:
            return f"{found}, so labels are likely wrong; the image is too coarse for this model"
        window = float(f"{self.input_px * nearest / source_gsd_m:.2g}")
        helps = f"--window {window:.0f}" if estimated else f"--gsd {nearest:.2g}"
        return f"{found}, so labels are likely wrong; {helps} brings it to the scale of the model"


def _many(ratio: float) -> str:
    return f"{float(f'{ratio:.2g}'):g}" if ratio < 1000 else "more than 1,000"


@dataclass(frozen=True, kw_only=True)
class TilingOptions:
    """The user's own settings of a tiling; None leaves one as the checkpoint has it."""

    window_px: int | None = option(
        None,
        "A window of this side, in source pixels, is seen at the size of --input. The two set the scale.",
        unit="PX",
        shown="the checkpoint's",
        least=1,
        group="model",
    )
    input_px: int | None = option(
        None,
        f"The network sees a window at this size, in model pixels; a multiple of {LATTICE_PX}.",
        unit="PX",
        shown="the checkpoint's",
        least=MIN_TILE_PX,
        multiple=LATTICE_PX,
        group="model",
    )
    tile: TileSize | None = option(
        None,
        "A tile of this size, in model pixels, goes through the network at once; auto: the whole image where that "
        "pays, else the rectangle that suits the image best.",
        unit="PX|HxW|auto",
        shown="the checkpoint's, or auto",
        read=parse_tile,
        group="model",
    )
    overlap: float | None = option(
        None,
        "Neighbouring tiles share at least this fraction of --input, or of a tile that is smaller. With --tile auto "
        "they share at least half of it, and more where the work allows.",
        unit="FRACTION",
        shown=f"the checkpoint's, or {DEFAULT_OVERLAP:g}",
        least=0,
        below=1,
        group="model",
    )
    quality: Quality = option(
        DEFAULT_QUALITY,
        "--tile auto splits an image as little as it can. balanced: in no more time than square tiles of --input take; "
        "fast: in about three quarters of it; best: in at most twice that. They put a checkpoint's tile aside.",
        group="model",
    )
    gsd_m: float | None = option(
        None,
        "The model expects this ground sample distance, in metres per pixel. It takes the place of --window for "
        "georeferenced images.",
        unit="METRES",
        shown="the checkpoint's, if any",
        above=0,
        group="model",
    )

    def __post_init__(self) -> None:
        check(self, GridError)
        if self.window_px is not None and self.gsd_m is not None:
            raise GridError("a window and a ground sample distance both set the scale: give one of them")

    def over(self, tiling: Tiling) -> Tiling:
        """Return a tiling with these settings in place; window and ground sample distance replace each other.

        Raises
        ------
        GridError
            If the settings make no tiling together, such as an overlap that leaves no stride.
        """
        if self.window_px is not None:
            tiling = replace(tiling, window_px=self.window_px, gsd_m=None)
        if self.gsd_m is not None:
            tiling = replace(tiling, window_px=None, gsd_m=self.gsd_m)
        return replace(
            tiling,
            input_px=tiling.input_px if self.input_px is None else self.input_px,
            overlap=tiling.overlap if self.overlap is None else self.overlap,
            tile=self.tile or (tiling.tile if self.quality == DEFAULT_QUALITY else AUTO),
            quality=self.quality,
        )
