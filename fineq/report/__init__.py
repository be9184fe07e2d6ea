"""Claims and figures of many runs as one HTML page, which needs no network and no other file.

    fineq.report.write("outputs", to="outputs/report.html")

Runs beside each other, as `fineq.runs.compare` finds them: `write_comparison`.
"""

from collections.abc import Iterable
from pathlib import Path

from fineq.claims import REGISTRY, Entry
from fineq.errors import InputError
from fineq.report.comparison import comparison_page
from fineq.report.found import gather
from fineq.report.page import page
from fineq.runs import Comparison, LoadedRun
from fineq.runs.files import check_writable, disk_errors, local_folder, write_atomic

__all__ = ["write", "write_comparison"]


def write(
    folder: Path | str,
    to: Path | str,
    *,
    registered: Iterable[Entry] | None = None,
) -> Path:
    """Write a page of the runs below a folder and return its path.

    A run that is damaged or has not ended is named on the page with the reason; a claim that no run
    speaks of stands there as not run. Nothing that lies in a run is executed.

    Args:
        folder: that holds all runs, as `output=` of a run.
        to: the file; what is there is replaced.
        registered: all claims there are; default: those of the areas that are loaded.

    Raises:
        InputError: for a folder that is none, or holds no run, or a place that refuses the file.
        ResourceError: when the disk is full.
    """
    folder, to = local_folder(folder), _free(to)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: name one that holds runs")
    runs, lost = gather(folder)
    if not runs and not lost:
        raise InputError(f"no run lies below {folder}: a run is <area>/<study>/<name>-<hash>")
    known = REGISTRY.values() if registered is None else registered
    return _written(page("fineq report", runs, lost, known), to)


def write_comparison(
    pairs: Iterable[Comparison],
    to: Path | str,
    *,
    alone: Iterable[tuple[str, LoadedRun]] = (),
) -> Path:
    """Write a page of runs beside each other and return its path.

    Args:
        pairs: of runs, as `fineq.runs.compare` returns them.
        to: the file; what is there is replaced.
        alone: runs without a partner, with the side that has them, `A` or `B`.

    Raises:
        InputError: for a place that refuses the file, and a run whose claims are of another kind
            than this fineq's.
        ResourceError: when the disk is full.
    """
    to = _free(to)
    return _written(comparison_page("fineq report: A beside B", pairs, alone), to)


def _free(to: Path | str) -> Path:
    """Where the page will lie, refused before any figure is drawn where it cannot."""
    to = local_folder(to)
    if to.is_dir():
        raise InputError(f"{to} is a folder: name a file for the page")
    check_writable(to.parent)
    return to


def _written(html: str, to: Path) -> Path:
    with disk_errors(to.parent):
        to.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(to, html.encode())
    return to
