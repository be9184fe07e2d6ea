"""Samples as pictures, where they are images."""

from collections.abc import Mapping

import numpy as np

from fineq import figures
from fineq.results import Arrays
from fineq.studies.sheets import sheets

ROWS, COLUMNS = 6, 6  # of a sheet
SHOWN = ROWS * COLUMNS  # samples of a sheet


def pictures(
    shape: tuple[int, int, int] | None, samples: Mapping[str, np.ndarray], columns: int = COLUMNS
) -> Arrays:
    """Sheets of samples, flat from -1 to 1 and as many of each, by name; the mean over channels.

    Of samples that are no images there are none.
    """
    if shape is None:
        return {}
    images = np.stack([x.reshape(-1, *shape).mean(axis=-1) for x in samples.values()])
    return sheets((images + 1) / 2, list(samples), columns, "intensity")


def sheet(name: str, title: str = "") -> figures.Panel:
    """The panel of one sheet."""
    line = figures.Line("sheets", "", {"sheet": name})
    return figures.Panel("image", "column", (line,), title=title or name)
