"""A rectangle of pixels."""

from __future__ import annotations

from dataclasses import dataclass

from tiler.errors import GridError


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels, half-open: rows `row_off <= r < row_stop`, columns alike."""

    row_off: int
    """First row."""
    col_off: int
    """First column."""
    height: int
    """Number of rows, at least 1."""
    width: int
    """Number of columns, at least 1."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise GridError(f"a window needs at least one pixel, got {self.height} x {self.width}")

    @property
    def row_stop(self) -> int:
        """One past the last row."""
        return self.row_off + self.height

    @property
    def col_stop(self) -> int:
        """One past the last column."""
        return self.col_off + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """`(rows, columns)` to index an array of shape (..., height, width)."""
        return slice(self.row_off, self.row_stop), slice(self.col_off, self.col_stop)

    def __str__(self) -> str:
        return f"rows {self.row_off}-{self.row_stop - 1}, columns {self.col_off}-{self.col_stop - 1}"
