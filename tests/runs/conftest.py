"""A small study result and a way to open its run, shared by the tests of run folders."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fineq.figures import Figure, Line, Panel
from fineq.results import Array, Status, StudyResult
from fineq.runs import Identity, Run, identify, open_run
from fineq.runs import summary as summaries
from fineq.runs.digest import sources_of


@dataclass(frozen=True)
class Plain:
    """A claim or a rate that is its own description."""

    entry: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.entry


def claim(value: float, verdict: str | None = "holds") -> Plain:
    measured = {"value": value, "low": value, "high": np.inf, "unit": "1"}
    about = {"id": "x/y", "statement": "s", "source": "p", "instance": "i", "sampled": False}
    judged = {"margin": None, "confidence": 0.95, "verdict": verdict, "reason": "r"}
    return Plain({**about, "measured": measured, "theory": None, **judged})


def rate(value: float) -> Plain:
    interval = {"value": value, "low": np.nan, "high": np.nan}
    return Plain({"quantity": "e", "method": "m", **interval, "seeds": 3, "verdict": "linear"})


def result(status: Status = "complete", scale: float = 1.0) -> StudyResult:
    seeds, iterations = np.arange(3), np.array([0, 1, 2, 5])
    values = scale * 0.5 ** iterations[None, :] * (1 + seeds[:, None])
    values[2, 2:] = np.nan
    return StudyResult(
        {"error": Array(values, ("seed", "iteration"), "J", "cost gap ℓ")},
        {
            "seed": Array(seeds, ("seed",), "1", "seed"),
            "iteration": Array(iterations, ("iteration",), "1", "iteration"),
        },
        (claim(0.5),),
        (rate(0.5),),
        (Figure("decay", (Panel("convergence", "iteration", (Line("error", "all"),)),)),),
        status,
        files={"model.safetensors": values.tobytes()},
    )


FIGURES = ["decay.pdf", "decay.png"]
WRITTEN = ["config.yaml", "data.nc", *FIGURES, "model.safetensors", "summary.json"]
TIMING = {"compile": 1.0, "run": 2.0}


def save(run: Run, status: Status = "complete", scale: float = 1.0) -> None:
    run.save(result(status, scale), TIMING, "float64")


def load_run_summary(path: Path) -> dict:
    return json.loads((path / "summary.json").read_text())


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def rewrite_summary(folder: Path, **changes) -> None:
    """Change the summary and make its checksum agree, as another program would write it."""
    summaries.write_summary(folder, {**load_run_summary(folder), **changes})


def copy_run(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.name != ".lock":
            (shutil.copytree if path.is_dir() else shutil.copy)(path, target / path.name)


CONFIG = {"seeds": 3, "output": "outputs"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A package folder that stands for fineq."""
    root = tmp_path / "fineq"
    (root / "plot").mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    (root / "plot" / "style.py").write_text("width = 1\n")
    return root


@pytest.fixture
def named(sources: Path) -> Callable[..., Identity]:
    """The identity of a configuration, with the sources as they are."""

    def naming(config: dict[str, Any] = CONFIG, **others: Any) -> Identity:
        where = {"area": "toy", "study": "decay", "name": "run", **others}
        return identify(**where, config=config, sources=sources_of([sources]))

    return naming


@pytest.fixture
def opened(tmp_path: Path, named: Callable[..., Identity]) -> Callable[..., Run]:
    """Open the run of a configuration below a temporary folder."""

    def opening(config: dict[str, Any] = CONFIG, *, force: bool = False, **others: Any) -> Run:
        output = others.pop("output", tmp_path / "outputs")
        return open_run(output, named(config, **others), force=force)

    return opening


@pytest.fixture
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: small bytes that depend on the data stand for the figures."""
    from fineq import plot

    monkeypatch.setattr(plot, "draw", lambda dataset, *_: float(np.nansum(dataset["error"])))
    monkeypatch.setattr(plot, "render", lambda x, _=None: {"png": f"{x}".encode(), "pdf": b"%PDF"})
