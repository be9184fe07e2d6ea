"""Figures of a run, drawn from its data file alone."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.figures import Figure
from fineq.runs import summary as summaries
from fineq.runs.data import figures_of
from fineq.runs.digest import own_sources
from fineq.runs.files import write_atomic
from fineq.runs.load import load_run
from fineq.runs.lock import RunLock

if TYPE_CHECKING:
    import xarray


SUFFIXES = ("png", "pdf")
UNDRAWN = "undrawn"  # the key of a summary under which `Drawn.failed` is kept


class Drawn(NamedTuple):
    """What came of drawing the figures of a run.

    Attributes:
        files: SHA-256 by file name.
        failed: why a figure could not be drawn, by its name.

    """

    files: dict[str, str]
    failed: dict[str, str]


def write_figures(folder: Path, dataset: "xarray.Dataset") -> Drawn:
    """Draw every figure that the data describe as PNG and PDF.

    A figure that cannot be drawn costs nothing but itself: it is named with the reason.

    Raises:
        ResourceError, InputError: for files that cannot be written, as `write_atomic`.

    """
    drawn = Drawn({}, {})
    for figure in figures_of(dataset):
        try:
            contents = _content(dataset, figure)
        except Exception as error:  # matplotlib raises whatever its parts and settings bring up
            drawn.failed[figure.name] = " ".join(f"{type(error).__name__}: {error}".split())
            for name in _names(figure):  # what is there shows other data
                (folder / name).unlink(missing_ok=True)
            continue
        for suffix, content in contents.items():
            name = f"{figure.name}.{suffix}"
            drawn.files[name] = write_atomic(folder / name, content)
    return drawn


def _names(figure: Figure) -> list[str]:
    return [f"{figure.name}.{suffix}" for suffix in SUFFIXES]


def _content(dataset: "xarray.Dataset", figure: Figure) -> dict[str, bytes]:
    try:
        from fineq.plot import draw, render
    except Exception:
        # An unknown backend or an unreadable file of settings stops matplotlib's own import.
        for name in [name for name in sys.modules if name.startswith(("matplotlib", "fineq.plot"))]:
            del sys.modules[name]  # half imported
        with _without_settings():
            from fineq.plot import draw, render
    return render(draw(dataset, figure))


@contextlib.contextmanager
def _without_settings() -> Iterator[None]:
    """Hide the user's backend and file of settings from matplotlib."""
    ours = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def undrawn(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return why figures of a run could not be drawn, by their names."""
    return summary.get(UNDRAWN, {})


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
    old = {name for figure in run.figures for name in _names(figure)}
    kept = {name: digest for name, digest in run.summary["files"].items() if name not in old}
    changes = {
        "files": {**kept, **drawn.files},
        "sources": {**run.summary.get("sources", {}), "drawing": sources},
        UNDRAWN: drawn.failed,
    }
    summaries.write_summary(path, {**run.summary, **changes})
    return [path / name for name in drawn.files]
