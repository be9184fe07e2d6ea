"""Run folders, finished and interrupted, that come to harm; what is read from them stays true."""

import functools
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np

from fineq.results import Array, StudyResult
from fineq.runs import load
from fineq.studies.area import Area
from fineq.studies.common import seed_axis
from fineq.sweep.stages import Stages
from tests.fuzz import oracle
from tests.fuzz.damage import BYTES, PLACE
from tests.fuzz.oracle import FaultError
from tests.fuzz.stub import area_of, drawn_plainly, result_of

RUN = ["seeds=2", "save_every=0"]
OTHER = 100  # first seed of another run
STUDY = {"nlqr": "linear_convergence", "pift": "linear_convergence", "ntk": "assumptions"}
PRECIOUS = b"a file that is none of ours\n"


class Stop(KeyboardInterrupt):
    """The user interrupts between two stages."""


def two_stages(config: Any, given: Any, stages: Stages, stop: bool = False) -> StudyResult:
    """`result_of` with what two stages measured, or an interruption between them."""
    axes = [seed_axis(config)]
    first = stages.measure("first", lambda member: 2.0 * member["seed"], axes)
    if stop:
        raise Stop
    second = stages.measure("second", lambda member: 3.0 * member["seed"], axes)
    plain = result_of(config)
    measured = Array(np.stack([first, second]), ("stage", "member"), "1", "measured")
    return StudyResult({**plain.arrays, "measured": measured}, plain.coords, figures=plain.figures)


def truth(first_seed: int) -> np.ndarray:
    """What `two_stages` measures."""
    return np.outer([2.0, 3.0], first_seed + np.arange(2))


def run(area: Area, first_seed: int = 0, stop: bool = False) -> oracle.Ended:
    """Run `two_stages` below the working folder."""
    study = STUDY[area.name]
    module = f"fineq.studies.{area.name}.{area.studies[study]}"
    stub = functools.partial(two_stages, stop=stop)
    words = [f"study={study}", f"first_seed={first_seed}", *RUN]
    with mock.patch(f"{module}.run", stub), drawn_plainly():
        return oracle.end(area, words)


@functools.cache
def runs_of(area: str) -> tempfile.TemporaryDirectory:
    """Folders `finished` and `stopped`, each with the runs of two first seeds."""
    kept = tempfile.TemporaryDirectory()
    for kind in ("finished", "stopped"):
        with oracle.folder():
            for first_seed in (0, OTHER):
                run(area_of(area), first_seed, stop=kind == "stopped")
            shutil.copytree("outputs", Path(kept.name) / kind)
    return kept


def found(first_seed: int) -> Path:
    """The run of this first seed below the working folder."""
    for config in Path("outputs").rglob("config.yaml"):
        if f"first_seed: {first_seed}\n" in config.read_text():
            return config.parent
    raise AssertionError(f"no run of first_seed={first_seed}")


def harm(draw: Random, ours: Path, other: Path) -> str:
    """Do one thing to a run folder; what was done."""
    files = sorted(path for path in ours.rglob("*") if path.is_file())
    path = draw.choice(files)
    where = path.relative_to(ours)
    twins = [p for p in other.rglob("*") if p.is_file() and p.name == path.name]
    kind = draw.random()
    if kind < 0.4:
        damage = draw.choice(BYTES)
    elif kind < 0.6:
        damage = draw.choice(PLACE)
    elif kind < 0.7 and twins:
        shutil.copyfile(draw.choice(twins), path)
        return f"{where} is the other run's"
    elif kind < 0.85:
        whole = draw.choice(WHOLE)
        whole(draw, ours, other)
        return whole.__name__
    elif (ours / "summary.json").exists():
        return edit(draw, ours / "summary.json")
    else:
        damage = draw.choice(BYTES)
    damage(draw, path)
    return f"{damage.__name__} {where}"


def take_all(draw: Random, ours: Path, other: Path) -> None:
    """All files are the other run's."""
    shutil.rmtree(ours)
    shutil.copytree(other, ours)


def take_checkpoints(draw: Random, ours: Path, other: Path) -> None:
    """The checkpoints are the other run's, or what is no folder."""
    kept = ours / "checkpoints"
    shutil.rmtree(kept, ignore_errors=True)
    if (other / "checkpoints").exists():
        shutil.copytree(other / "checkpoints", kept)
    else:
        draw.choice((kept.touch, lambda: kept.symlink_to("none"), kept.mkdir))()


def take_lock(draw: Random, ours: Path, other: Path) -> None:
    """The lock is a link to a precious file, a folder, a pipe, or stale."""
    lock = ours / ".lock"
    outside = os.path.relpath("precious.txt", ours)
    made = (lambda: lock.symlink_to(outside), lock.mkdir, lambda: os.mkfifo(lock), lock.touch)
    draw.choice(made)()


def leave_parts(draw: Random, ours: Path, other: Path) -> None:
    """A file that was being written is left, or a folder or link of such a name."""
    part = ours / f".summary.json.{os.getpid()}.part"
    outside = os.path.relpath("precious.txt", ours)
    draw.choice((part.touch, part.mkdir, lambda: part.symlink_to(outside)))()


def move(draw: Random, ours: Path, other: Path) -> None:
    """The folder is a link to where it was moved, to the other run, to nothing, or a file."""
    shutil.move(ours, ours.with_name("moved"))
    links = ("moved", other.name, "none", ours.name)
    draw.choice((*(lambda to=to: ours.symlink_to(to) for to in links), ours.touch))()


WHOLE = (take_all, take_checkpoints, take_lock, leave_parts, move)
STRANGE = (
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    "",
    "é",
    "x" * 1000,
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    "NaN",
)


def edit(draw: Random, path: Path) -> str:
    """Change a value somewhere in the summary, and half of the time its checksum too."""
    summary = json.loads(path.read_text())
    at: Any = summary
    trail = []
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw.choice(keys)
        trail.append(key)
        if not isinstance(at[key], dict | list) or not at[key] or draw.random() < 0.3:
            break
        at = at[key]
    at[key] = draw.choice(STRANGE)
    sealed = draw.random() < 0.5
    if sealed:
        seal(summary)
    text = json.dumps(summary, ensure_ascii=False, indent=2)
    path.write_text(draw.choice((text, text, text.replace("1", "NaN"), text.replace("{", "[[{"))))
    return f"summary.json edited at {trail}: {at[key]!r:.40}{', sealed' if sealed else ''}"


def seal(summary: dict[str, Any]) -> None:
    """Give an edited summary the checksum of what it now holds."""
    body = {key: value for key, value in summary.items() if key != "digest"}
    text = json.dumps(body, allow_nan=False, ensure_ascii=False, indent=2).encode() + b"\n"
    summary["digest"] = hashlib.sha256(text).hexdigest()


def check_true(ended: oracle.Ended, ours: Path) -> None:
    """Raise `FaultError` when a command that ended well shows or leaves what is not this run's."""
    if Path("precious.txt").read_bytes() != PRECIOUS:
        raise FaultError("a file outside the run was written")
    if ended.code != 0:
        return
    loaded = load(ours)
    if not np.array_equal(loaded.dataset["measured"], truth(0)):
        raise FaultError(f"what was found is not what this run measures:\n{ended.out}")
    if loaded.config["first_seed"] != 0:
        raise FaultError("the configuration is not this run's")
