"""Runs on disk, as the command line and `fineq.run` leave them.

    for found in fineq.runs.find("outputs", study="landscape"):
        print(found.name, found.state)
    run = fineq.runs.load(found.path)
    run.dataset, run.claims, run.rates, run.config
    fineq.runs.redraw(run, style={"font.size": 16}, to="talk")

A folder `<output>/<area>/<study>/<name>-<hash>/` holds `config.yaml`, `data.nc`, figures and
`summary.json`; nothing in it is executed. Below are the names by which the shell writes runs:
`identify`, `open_run` and what they return.
"""

from fineq.runs.compare import Comparison, compare
from fineq.runs.data import DamagedError, figures_of, to_dataset
from fineq.runs.digest import Identity, identify
from fineq.runs.drawing import redraw
from fineq.runs.folders import FoundRun, LoadedRun, SavedRate, find, load
from fineq.runs.overall import Outcome, write_overall_summary
from fineq.runs.run import Run, find_run, open_run

__all__ = [
    "Comparison",
    "DamagedError",
    "FoundRun",
    "Identity",
    "LoadedRun",
    "Outcome",
    "Run",
    "SavedRate",
    "compare",
    "figures_of",
    "find",
    "find_run",
    "identify",
    "load",
    "open_run",
    "redraw",
    "to_dataset",
    "write_overall_summary",
]
