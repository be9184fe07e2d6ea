"""Claims and figures of many runs as one HTML page, which needs no network and no other file.

fineq.report.write("outputs", "outputs/report.html")
"""

from collections.abc import Iterable
from pathlib import Path

from fineq.claims import REGISTRY, Entry
from fineq.errors import InputError
from fineq.report.found import gather
from fineq.report.page import page
from fineq.runs.files import check_writable, disk_errors, local_folder, write_atomic

__all__ = ["write"]


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
    folder, to = local_folder(folder), local_folder(to)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: name one that holds runs")
    if to.is_dir():
        raise InputError(f"{to} is a folder: name a file for the page")
    check_writable(to.parent)
    runs, lost = gather(folder)
    if not runs and not lost:
        raise InputError(f"no run lies below {folder}: a run is <area>/<study>/<name>-<hash>")
    html = page("fineq report", runs, lost, REGISTRY.values() if registered is None else registered)
    with disk_errors(to.parent):
        to.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(to, html.encode())
    return to
