"""Figures of a run, drawn from its data file alone."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.errors import InputError
from fineq.figures import Figure
from fineq.runs import summary as summaries
from fineq.runs.data import figures_of
from fineq.runs.digest import own_sources
from fineq.runs.files import check_writable, disk_errors, local_folder, write_atomic
from fineq.runs.folders import LoadedRun, load
from fineq.runs.lock import RunLock

if TYPE_CHECKING:
    import xarray


SUFFIXES = ("png", "pdf")
Style = str | Mapping[str, Any]  # a style of matplotlib's by name or path, or settings of its own
UNDRAWN = "undrawn"  # the key of a summary under which `Drawn.failed` is kept


class Drawn(NamedTuple):
    """What came of drawing the figures of a run.

    Attributes:
        files: SHA-256 by file name.
        failed: why a figure could not be drawn, by its name.

    """

    files: dict[str, str]
    failed: dict[str, str]


def write_figures(folder: Path, dataset: "xarray.Dataset", style: Style | None = None) -> Drawn:
    """Draw every figure that the data describe as PNG and PDF.

    A figure that cannot be drawn costs nothing but itself: it is named with the reason.

    Args:
        folder: where they go.
        dataset: what they show, and which they are.
        style: laid over the house style.

    Raises:
        ResourceError, InputError: for files that cannot be written, as `write_atomic`.

    """
    drawn = Drawn({}, {})
    for figure in figures_of(dataset):
        try:
            contents = _content(dataset, figure, style)
        except Exception as error:
            drawn.failed[figure.name] = _why(error)
            for name in _names(figure):  # what is there shows other data
                (folder / name).unlink(missing_ok=True)
            continue
        for suffix, content in contents.items():
            name = f"{figure.name}.{suffix}"
            drawn.files[name] = write_atomic(folder / name, content)
    return drawn


def _why(error: Exception) -> str:
    """What matplotlib says; it raises whatever its parts and settings bring up."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def vector(dataset: "xarray.Dataset", figure: Figure) -> bytes:
    """Draw one figure as SVG in the house style, for a page; see `fineq.plot.vector`.

    Raises:
        InputError: for a figure that cannot be drawn.

    """
    try:
        plot = _plot()
        return plot.vector(plot.draw(dataset, figure))
    except Exception as error:
        raise InputError(f"figure {figure.name} cannot be drawn: {_why(error)}") from error


def _names(figure: Figure) -> list[str]:
    return [f"{figure.name}.{suffix}" for suffix in SUFFIXES]


def _content(
    dataset: "xarray.Dataset", figure: Figure, style: Style | None = None
) -> dict[str, bytes]:
    plot = _plot()
    return plot.render(plot.draw(dataset, figure, style), style)


def _plot() -> Any:
    """`fineq.plot`, whatever the user has told matplotlib."""
    try:
        return importlib.import_module("fineq.plot")
    except Exception:
        # An unknown backend or an unreadable file of settings stops matplotlib's own import.
        for name in [name for name in sys.modules if name.startswith(("matplotlib", "fineq.plot"))]:
            del sys.modules[name]  # half imported
        with _without_settings():
            return importlib.import_module("fineq.plot")


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


def redraw(
    path: Path | str | LoadedRun,
    *,
    style: Style | None = None,
    to: Path | str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Draw the figures of a run again, with nothing recomputed; return their paths.

    Without `to` they are drawn in the run's own folder, as this fineq draws them. Another style
    needs another folder: a run's own figures look like those of every other run.

    Args:
        path: the run folder, or the run that was loaded from it: its `dataset` is drawn as it is.
        style: laid over the house style: one of matplotlib's by name (`dark_background`), a file of
            settings, or settings by name (`{"font.size": 16}`).
        to: a folder for PNG and PDF, made if need be.
        overwrite: replace files that `to` has already.

    Raises:
        InputError: for a style that matplotlib does not have, a style without `to`, files that are
            there already, a figure that cannot be drawn, damaged data, and when another process
            is writing the run.

    """
    if to is None:
        if style is not None:
            raise InputError("style= needs to=, another folder: a run's own figures have one style")
        folder = path.path if isinstance(path, LoadedRun) else Path(path)
        with contextlib.closing(RunLock(folder)):
            return redraw_unlocked(folder, own_sources().drawing)
    run = path if isinstance(path, LoadedRun) else load(path)
    folder = _free_folder(to, run, overwrite)
    with _plot().house_style(style):  # or it says what is wrong with it
        pass
    drawn = write_figures(folder, run.dataset, style)
    for name, why in drawn.failed.items():
        raise InputError(f"figure {name} cannot be drawn: {why}")
    return [folder / name for name in drawn.files]


def _free_folder(to: Path | str, run: LoadedRun, overwrite: bool) -> Path:
    """A folder that is no run's, in which no figure of this run lies unless it may be replaced."""
    folder = local_folder(to)
    if (folder / summaries.NAME).exists():
        raise InputError(f"to={folder} is the folder of a run: name another one")
    names = [name for figure in run.figures for name in _names(figure)]
    there = [] if overwrite else [name for name in names if os.path.lexists(folder / name)]
    if there:
        raise InputError(
            f"{folder / there[0]} is there already: overwrite=True replaces it, or name another to="
        )
    check_writable(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def redraw_unlocked(path: Path, sources: str) -> list[Path]:
    """Do what `redraw` does for a caller that holds the lock.

    Args:
        path: the run folder.
        sources: the digest of the sources that draw.

    """
    run = load(path)
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
