"""Figures of a run, drawn from its data file alone."""

from pathlib import Path
from typing import TYPE_CHECKING

from fineq.runs import summary as summaries
from fineq.runs.data import figures_of
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
    lock = RunLock(Path(path))
    try:
        return redraw_unlocked(Path(path))
    finally:
        lock.release()


def redraw_unlocked(path: Path) -> list[Path]:
    """Do what `redraw` does for a caller that holds the lock."""
    run = load_run(path)
    drawn = write_figures(path, run.dataset)
    summaries.write_summary(path, {**run.summary, "files": {**run.summary["files"], **drawn}})
    return [path / name for name in drawn]
