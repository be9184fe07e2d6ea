"""Sheets of small images, side by side, as arrays that a figure draws."""

import numpy as np

from fineq.results import Array as Named
from fineq.results import Arrays

GAP = 3  # pixels between images
DIMS = ("sheet", "column", "row")


def sheets(images: np.ndarray, names: list[str], columns: int, what: str) -> Arrays:
    """Sheets of images, and their coordinates.

    Args:
        images: `[sheet, N, H, W]`, each in [0, 1]; rows and columns of pixels are counted from the
            top left.
        names: of the sheets.
        columns: images side by side; N is a multiple of it.
        what: an intensity is.
    """
    drawn = np.stack([_sheet(each, columns) for each in images])
    x, y = np.arange(drawn.shape[1]), -np.arange(drawn.shape[2])
    # The vertical axis of a figure points up, and rows of pixels are counted downwards.
    return {
        "sheets": Named(drawn, DIMS, "1", what),
        "sheet": Named(np.array(names), DIMS[:1], "1", "model"),
        "column": Named(x, DIMS[1:2], "1", "column of pixels"),
        "row": Named(y[::-1], DIMS[2:], "1", "row of pixels"),
    }


def _sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """Images `[N, H, W]` side by side, `[column, row]` with the last row first."""
    num, height, width = images.shape
    framed = np.pad(images, ((0, 0), (1, GAP - 1), (1, GAP - 1)))
    height, width = height + GAP, width + GAP
    grid = framed.reshape(num // columns, columns, height, width).transpose(0, 2, 1, 3)
    pixels = np.clip(grid.reshape(num // columns * height, columns * width), 0, 1)
    return pixels[::-1].T
