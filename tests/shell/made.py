"""Runs on the disk that nothing was computed for, as subcommands meet them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fineq.claims import Claim, Measured, Theory
from fineq.figures import Figure, Line, Panel
from fineq.results import Array, Status, StudyResult
from fineq.runs import identify, open_run
from fineq.runs.digest import Sources
from tests.runs.conftest import rate

SEEDS = np.arange(6)


@contextmanager
def undrawn(**files: bytes) -> Iterator[None]:
    """Figures made within have these files, by suffix: drawing takes longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        from fineq import plot

        patch.setattr(plot, "draw", lambda *_: None)
        patch.setattr(plot, "render", lambda *_: files)
        yield


def result(ratio: float = 0.5, noise: float = 0.01, status: Status = "complete") -> StudyResult:
    """A gap that decays at a ratio, its claim, and the claim of a certain number."""
    gap = ratio ** np.arange(4.0) * (1 + noise * SEEDS[:, None])
    arrays = {
        "gap": Array(gap, ("seed", "iteration"), "J", "cost gap"),
        "optimum": Array(np.full(6, 3.0), ("seed",), "J", "cost of the optimum"),
    }
    coords = {
        "seed": Array(SEEDS, ("seed",), "1", "seed"),
        "iteration": Array(np.arange(4), ("iteration",), "1", "iteration"),
    }
    made = Claim(
        "nlqr/linear-convergence",
        "the gap shrinks by a ratio",
        "fineq",
        "ℓ = 0.3, 6 seeds",
        Measured(ratio, ratio - noise, ratio + noise, "1", 0.95),
        Theory(0.5, "~", "1 - ημ", margin=0.05),
    )
    figure = Figure("decay", (Panel("convergence", "iteration", (Line("gap", "all"),)),))
    return StudyResult(arrays, coords, (made,), (rate(ratio),), (figure,), status, {"n": "why"})


def make_run(
    output: Path,
    study: str = "nlqr/landscape",
    words: list[str] | None = None,
    name: str = "run",
    made: StudyResult | None = None,
    seconds: float = 90.0,
    sources: str = "a",
    **config: Any,
) -> Path:
    """Save a run and return its folder."""
    area, _, last = study.partition("/")
    settings = {"study": last, "name": name, "seeds": 6, "precision": "float64", **config}
    identity = identify(area, last, name, settings, sources=Sources(sources, "b"))
    with open_run(output, identity) as run:
        run.words = words
        timing = {"compile": 30.0, "run": seconds - 40.0, "total": seconds}
        run.save(made or result(), timing, "float64")
    return run.path
