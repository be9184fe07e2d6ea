"""What one step of fine-tuning holds, foreseen and measured, and what rematerialisation costs.

The chain's length varies at the configured paths of a step, and the paths at the configured length;
each with activations kept, and computed again. Nothing is trained: memory hangs on shapes alone,
and the network is an untrained one. What is measured is what XLA allots to the compiled step; a
step's time is that of a machine, one for each seed's noise.
"""

import dataclasses
import time
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory
from fineq.finetune import DRaFT, Pathwise, PolicyIteration, Tuning, make_tuning
from fineq.finetune.memory import step_bytes
from fineq.finetune.methods.base import AdapterTraining
from fineq.finetune.rewards import Ink
from fineq.iterate.chunk import Compiled, compile_ahead
from fineq.keys import key_for
from fineq.studies import statistics
from fineq.studies.common import Slice, listed
from fineq.studies.finetune import common
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.pretrain import denoiser_of
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis
from fineq.sweep.stages import Cost, Stages

METHODS = {"pi_ft": PolicyIteration, "pathwise": Pathwise, "draft": DRaFT}
FACTORS = {"num_steps": "steps T of the chain", "num_paths": "paths of a step"}
KEPT = {
    "held": "memory of a step [MiB]",
    "foreseen": "memory of a step, foreseen [MiB]",
    "seconds": "time of a step [s]",
}
WAYS = {"": "kept", "_again": "computed again"}
MIB = 2**20
FACTOR = 1.5  # what is fused, and made when, is XLA's own business: convolutions were a third off


class Setting(NamedTuple):
    """Steps T of the chain, paths of a step, and whether activations are computed again."""

    num_steps: int
    num_paths: int
    again: bool


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axes are length and paths."""
    axes = [Axis(name, getattr(config.memory, name)) for name in FACTORS]
    return common.make_study(config, given, stages, *axes)


def measure(study: common.Study) -> Found:
    """Compile a step at every setting, and time it."""
    at = Setting(study.config.chain.num_steps, study.config.tuning.num_paths, False)
    places = {
        f"{factor.name}{way}": [
            at._replace(**{factor.name: value}, again=bool(way)) for value in factor.values
        ]
        for factor, way in product(study.own, WAYS)
    }
    settings = sorted({setting for along in places.values() for setting in along})
    seen = dict(zip(settings, _measured(study, settings), strict=True))
    return Found(
        {
            f"{name}_{place}": np.asarray([seen[setting][name] for setting in along])
            for name, (place, along) in product(KEPT, places.items())
        },
        list(study.own),
    )


def _measured(study: common.Study, settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """What a step at each setting holds, and takes for each seed, by the names of `KEPT`."""
    problems = {T: _problem(study, T) for T in {setting.num_steps for setting in settings}}
    given = [(_method(study, setting), problems[setting.num_steps]) for setting in settings]
    keys = [key_for(seed, "noise of a step that is timed") for seed in study.axes[-1].values]
    by, problem = given[0]
    # Neither length nor paths change the shapes of adapters.
    state = jax.jit(lambda key, problem: by.init(key, problem, None))(keys[0], problem)
    steps = [
        (compile_ahead(_step, (), (by, keys[0], state, problem)), by, problem)
        for by, problem in given
    ]
    began = time.perf_counter()
    seconds = _times(steps, state, keys)
    compiled = [step for step, _, _ in steps]
    study.stages.costs["steps"] = Cost(
        sum(step.seconds for step in compiled),
        time.perf_counter() - began,
        max(step.peak_bytes for step in compiled),
        1,
    )
    return [
        {"held": step.peak_bytes / MIB, "foreseen": step_bytes(by, problem) / MIB, "seconds": own}
        for (step, by, problem), own in zip(steps, seconds, strict=True)
    ]


def _times(steps: Sequence[tuple[Compiled, Any, Any]], state: Any, keys: Sequence[Any]) -> Any:
    """Seconds of each step with each key, `[step, seed]`; they take turns."""
    found = np.empty((len(steps), 1 + len(keys)))
    for (j, key), (i, (step, by, problem)) in product(
        enumerate([keys[0], *keys]), enumerate(steps)
    ):
        began = time.perf_counter()
        jax.block_until_ready(step.call(by, key, state, problem))
        found[i, j] = time.perf_counter() - began
    return found[:, 1:]  # the first call pays for what a process does once


@jax.jit
def _step(by: AdapterTraining, key: Array, state: Any, problem: Tuning) -> Any:
    return by.step(key, state, problem)


def _problem(study: common.Study, num_steps: int) -> Tuning:
    """Fine-tuning of an untrained model to the simplest reward, whose own memory is nothing."""
    chain = dataclasses.replace(study.config.chain, num_steps=num_steps)
    own = study._replace(config=dataclasses.replace(study.config, chain=chain))
    base = common.computing(study.config, denoiser_of(own))
    return make_tuning(base, Ink(), jnp.ones((), study.dtype))


def _method(study: common.Study, setting: Setting) -> AdapterTraining:
    kind = METHODS[study.config.memory.method]
    rank = study.config.tuning.rank
    return kind(num_paths=setting.num_paths, rank=rank, remat=setting.again)


def _farthest(view: View) -> float:
    """The largest factor between foreseen and measured, either way."""
    apart = [
        np.abs(np.log(view(f"foreseen_{factor}{way}") / view(f"held_{factor}{way}")))
        for factor, way in product(FACTORS, WAYS)
    ]
    return float(np.exp(np.max(np.concatenate(apart))))


def _saved(view: View) -> float:
    """What a step of the chain adds, kept over computed again."""
    added = {way: np.ptp(view(f"held_num_steps{way}")) for way in WAYS}
    return float(added[""] / added["_again"])


def _slower(view: View) -> np.ndarray:
    """Time of a step at the longest chain, computed again over kept, `[seed]`."""
    return view("seconds_num_steps_again")[-1] / view("seconds_num_steps")[-1]


def _panels(view: View) -> list[figures.Panel]:
    def panel(name: str, factor: str, title: str, *theory: figures.Theory) -> figures.Panel:
        lines = {f"{name}_{factor}{way}": words for way, words in WAYS.items()}
        return view.panel("curves", factor, lines, *theory, title=title, log="xy")

    held = [
        panel(
            *("held", factor, f"Memory: {words}"),
            *(
                view.theory("foreseen", f"foreseen_{factor}{way}", line=i)
                for i, way in enumerate(WAYS)
            ),
        )
        for factor, words in FACTORS.items()
    ]
    return [*held, panel("seconds", "num_steps", f"Time: {FACTORS['num_steps']}")]


def _instance(study: common.Study, piece: Slice) -> str:
    words = f"{study.config.memory.method} at rank {study.config.tuning.rank}"
    return listed(common.base_instance(study, piece), words)


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES._replace(long={**common.NAMES.long, **FACTORS}),
    words=_instance,
    quantities=tuple(
        Quantity(f"{name}_{factor}{way}", text, own=(factor,), seeds=name == "seconds")
        for (name, text), factor, way in product(KEPT.items(), FACTORS, WAYS)
    ),
    claims=(
        Row(
            *("finetune/memory", "largest factor between memory foreseen and allotted"),
            statistics.Exact(_farthest, said=""),
            Theory(FACTOR, "<=", f"a factor {FACTOR:g}"),
            sampled=True,
        ),
        Row(
            *("finetune/memory", "what a step of the chain adds, kept over computed again"),
            statistics.Exact(_saved, said=""),
            when=lambda view: len(view.values_of("num_steps")) > 1,
        ),
        Row(
            *("finetune/memory", "time of a step, computed again over kept, the longest chain"),
            statistics.Median(_slower),
        ),
    ),
    figures=(Draw("memory", _panels, "What one step of fine-tuning holds, and takes."),),
)
