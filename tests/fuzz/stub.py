"""Studies that stop where they would begin to compute, and results that tell runs apart."""

import contextlib
import copy
import functools
import importlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.figures import Figure, Line, Panel
from fineq.results import Array, StudyResult
from fineq.settings.config import RunConfig
from fineq.shell.compose import compose
from fineq.studies.area import AREAS, Area, area_of
from fineq.sweep.stages import Stages

# One is judged and one is measured alone.
CLAIMS = (
    Claim("x/judged", "s", "fineq", "i", Measured.exact(1.0), Theory(1.0, "~", "1", 0.1)),
    Claim("x/measured", "s", "fineq", "i", Measured.exact(1.0)),
)


class ReachedError(BaseException):
    """Raised where a study begins to compile: its first sweep, or work on a grid."""


def result_of(config: RunConfig) -> StudyResult:
    """A small result that no run with other seeds has."""
    seeds = np.arange(3)
    values = 0.5**seeds + 1.0 * config.first_seed + 1e-3 * config.seeds
    return StudyResult(
        {"error": Array(values, ("seed",), "J", "cost gap")},
        {"seed": Array(seeds, ("seed",), "1", "seed")},
        CLAIMS,
        figures=(Figure("decay", (Panel("decay", "seed", (Line("error", "all"),)),)),),
    )


@contextlib.contextmanager
def stubbed() -> Iterator[None]:
    """Studies end where they begin to compute, with `result_of` as result; figures are a few bytes.

    All before that is real: composition, validation, loading, and a study's own checks.
    """

    def stop(*_: Any, **__: Any) -> None:
        raise ReachedError

    def until_reached(study: Any) -> Any:
        def run(config: Any, given: Any, stages: Stages) -> StudyResult:
            with contextlib.suppress(ReachedError):
                study(config, given, stages)
            return result_of(config)

        return run

    with contextlib.ExitStack() as stack:
        names = [f"{area}.{name}" for area in AREAS for name in area_of(area).studies.values()]
        # All are there before the first is replaced: one study is made of another.
        for module in [importlib.import_module(f"fineq.studies.{name}") for name in names]:
            stack.enter_context(mock.patch.object(module, "run", until_reached(module.run)))
        for module in ("build", "members"):
            stack.enter_context(mock.patch(f"fineq.sweep.{module}.compile_ahead", stop))
        stack.enter_context(mock.patch("fineq.pift.grid.checks.errors_between", stop))
        stack.enter_context(drawn_plainly())
        stack.enter_context(mock.patch("fineq.shell.multirun.forget_programs"))
        yield


@functools.cache
def _composed(area: str, words: tuple[str, ...], source: str | None) -> RunConfig:
    return compose(area_of(area), words, source)


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """The same words are composed once, for cases that are about files."""

    def compose_once(area: Area, words: Sequence[str], source: str | None = None) -> RunConfig:
        return copy.deepcopy(_composed(area.name, tuple(words), source))

    with mock.patch("fineq.shell.main.compose", compose_once):
        yield


@contextlib.contextmanager
def drawn_plainly() -> Iterator[None]:
    """Figures are small bytes that depend on the data."""

    def draw(dataset: Any, figure: Figure, style: Any = None) -> float:
        return float(np.nansum(dataset["error"]))

    def render(drawn: float, style: Any = None) -> dict[str, bytes]:
        return {"png": f"{drawn}".encode(), "pdf": b"%PDF"}

    with mock.patch("fineq.plot.draw", draw), mock.patch("fineq.plot.render", render):
        yield
