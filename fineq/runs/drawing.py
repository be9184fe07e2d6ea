"""Figures of a run, drawn from its data file alone."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from fineq.runs import summary as summaries
from fineq.runs.data import figures_of
from fineq.runs.digest import own_sources
from fineq.runs.files import write_atomic
from fineq.runs.load import load_run
from fineq.runs.lock import RunLock

if TYPE_CHECKING:
    import xarray


def write_figures(folder: Path, dataset: "xarray.Dataset") -> dict[str, str]:
    """Draw every figure that the data describe as PNG and PDF; return SHA-256 by file name."""
    from fineq.plot import draw, render

    files = {}
    for figure in figures_of(dataset):
        for suffix, content in render(draw(dataset, figure)).items():
            name = f"{figure.name}.{suffix}"
            files[name] = write_atomic(folder / name, content)
    return files


def redraw(path: Path | str) -> list[Path]:
    """Draw the figures of a run again, with nothing recomputed; return their paths.

    Raises:
        InputError: when another process is writing the run, or its data are damaged.

    """
    with contextlib.closing(RunLock(Path(path))):
        return redraw_unlocked(Path(path), own_sources().drawing)


def redraw_unlocked(path: Path, sources: str) -> list[Path]:
    """Do what `redraw` does for a caller that holds the lock.

    Args:
        path: the run folder.
        sources: the digest of the sources that draw.

    """
    run = load_run(path)
    drawn = write_figures(path, run.dataset)
    files = {**run.summary["files"], **drawn}
    about = {**run.summary.get("sources", {}), "drawing": sources}
    summaries.write_summary(path, {**run.summary, "files": files, "sources": about})
    return [path / name for name in drawn]
