"""Check whose turn it is: the tiles of an image come in rows, top to bottom, each once."""

from __future__ import annotations

from tiler.errors import CoverError
from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile


class Cover:
    """Keep account of the tiles of one image as they come.

    Parameters
    ----------
    grid : Grid
        Where the tiles lie.
    first_row : int
        Row of tiles that comes first.
    """

    def __init__(self, grid: Grid, first_row: int = 0) -> None:
        self._grid = grid
        self._row = first_row
        self._waiting = set(range(len(grid.col_offs)))

    def name(self, tile: Tile) -> str:
        """Return what errors call a tile."""
        return f"tile ({tile.row}, {tile.col}), source {self._grid.source_window(tile.window)}"

    def take(self, tile: Tile) -> bool:
        """Note that a tile came; return whether its row of tiles is complete, and then turn to the next.

        Raises
        ------
        CoverError
            If the tile came before, or belongs to another row of tiles.
        """
        if tile.row != self._row or tile.col not in self._waiting:
            raise CoverError(
                f"{self.name(tile)} came twice or out of turn: "
                f"row {self._row} of tiles waits for columns {self._waiting}"
            )
        self._waiting.remove(tile.col)
        if self._waiting:
            return False
        self._row += 1
        self._waiting = set(range(len(self._grid.col_offs)))
        return True

    def finished_cells(self, row: int) -> tuple[int, int]:
        """Return the rows of the logits grid, first and count, that no tile after this row of tiles touches."""
        offs = (*self._grid.row_offs, self._grid.padded_shape[0])
        return offs[row] // LOGITS_STRIDE, (offs[row + 1] - offs[row]) // LOGITS_STRIDE
