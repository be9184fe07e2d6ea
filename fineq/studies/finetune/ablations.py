"""What is left to gain by PI-FT as one factor after the other leaves its default.

Rank of the adapters, paths of a step, inner iterations, damping, and steps: each takes the values
of `ablations`, all others stay as `tuning` has them. Settings that two factors share are run once.
Damping is varied at the most inner iterations: at one it only scales the gradient, which AdamW
undoes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import jax
import numpy as np

from fineq import figures
from fineq.results import status_of
from fineq.studies import statistics
from fineq.studies.finetune import common, tuned
from fineq.studies.finetune.config import FinetuneConfig, TuningConfig
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.rewards import Rewarded, rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

FACTORS = {
    "rank": "rank",
    "num_paths": "paths of a step",
    "num_inner": "inner iterations",
    "damping": "damping",
    "num_steps": "steps",
}
KEPT = {
    "gap": "what is left to gain: divergence from the tilted law [nat]",
    "gap_high": "what is left to gain, upper 95% limit [nat]",
    "divergence": "divergence from the base model [nat]",
    "effective": "effective paths behind the gap",
}
Setting = tuple[int, int, int, int, float]  # rank, paths, inner iterations, steps, damping


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axes are the factors."""
    axes = [Axis(name, getattr(config.ablations, name)) for name in FACTORS]
    study = common.make_study(config, given, stages, *axes)
    most = max(config.ablations.num_paths)
    common.check_memory(study, replace(common.policy_iteration(study, {}), num_paths=most))
    return study


def measure(study: common.Study) -> Found:
    """Fine-tune at every setting, and look at what comes of it."""
    made = rewarded(study)
    settings = sorted({_setting(t) for factor in study.own for t in _varied(study.config, factor)})
    adapters, lost = _trained(study, made, settings)
    axes = [Axis("setting", range(len(settings))), *study.axes]
    seen = tuned.tuned_paths(study, made, axes, adapters, tuned.base_paths(study, made))
    found = {}
    marked = tuned.marked({name: seen[name] for name in KEPT}, lost)
    for factor in study.own:
        places = [settings.index(_setting(t)) for t in _varied(study.config, factor)]
        found |= {f"{name}_{factor.name}": values[places] for name, values in marked.items()}
    return Found(found, list(study.own), notes=made.notes, status=status_of(lost))


def _varied(config: FinetuneConfig, factor: Axis) -> list[TuningConfig]:
    tuning = config.tuning
    if factor.name == "damping":
        tuning = replace(tuning, num_inner=max(config.ablations.num_inner))
    return [replace(tuning, **{factor.name: value}) for value in factor.values]


def _setting(t: TuningConfig) -> Setting:
    return (t.rank, t.num_paths, t.num_inner, t.num_steps, t.damping)


def _trained(
    study: common.Study, made: Rewarded, settings: Sequence[Setting]
) -> tuple[Any, np.ndarray]:
    """Adapters at every setting, leaves `[setting, *axes, ...]`, and which members diverged.

    Dampings are numbers of one program; whatever else differs has a program of its own.
    """
    found, lost = [], []
    for shape, group in groupby(settings, lambda setting: setting[:-1]):
        dampings = [setting[-1] for setting in group]
        rank, num_paths, num_inner, num_steps = shape
        tuning = replace(
            study.config.tuning,
            rank=rank,
            num_paths=num_paths,
            num_inner=num_inner,
            num_steps=num_steps,
        )
        own = study._replace(config=replace(study.config, tuning=tuning))
        run = tuned.fine_tune(
            study,
            made,
            [Axis("tuning.damping", dampings), *study.axes],
            partial(common.policy_iteration, own),
            num_steps,
            name=f"fine-tuning at rank {rank}, {num_paths} paths, {num_inner} inner, "
            f"{num_steps} steps",
        )
        found.append(run.final.average)
        lost.append(run.diverged)
    largest = max(setting[0] for setting in settings)
    padded = [widened(adapters, largest) for adapters in found]
    return jax.tree.map(lambda *x: np.concatenate(x), *padded), np.concatenate(lost)


def widened(adapters: Any, rank: int) -> Any:
    """Adapters of a higher rank with the same products A'B': what is new is zero."""

    def wide(leaf: np.ndarray, axis: int) -> np.ndarray:
        more = [(0, 0)] * leaf.ndim
        more[axis] = (0, max(rank - leaf.shape[axis], 0))
        return np.pad(leaf, more)

    return {k: {"A": wide(x["A"], -2), "B": wide(x["B"], -1)} for k, x in adapters.items()}


def _few(factor: str, view: View) -> str:
    gaps, worst = view(f"gap_{factor}"), np.nanmin(view(f"effective_{factor}"))
    gone = int(np.sum(~np.isfinite(gaps)))
    return f"{gone} of {gaps.size} diverged" if gone else tuned.said_few(worst)


def _exponents() -> Iterator[Row]:
    for factor, words in FACTORS.items():
        yield Row(
            *("finetune/ablation", f"exponent in {words} of what is left to gain, upper 95% limit"),
            statistics.Exponent(f"gap_high_{factor}", factor),
            where=partial(_few, factor),
            when=lambda view, factor=factor: len(view.values_of(factor)) > 1,
        )


def _panels(view: View) -> list[figures.Panel]:
    most = max(view.study.config.ablations.num_inner)
    beside = {"damping": f", {most} inner iterations"}
    return [
        view.panel(
            "curves",
            factor,
            {f"gap_{factor}": "estimate", f"gap_high_{factor}": "upper limit"},
            figures.Theory("default", threshold=getattr(view.study.config.tuning, factor)),
            title=f"Left to gain: {words}{beside.get(factor, '')}",
            log="x",
            ylabel="nats",
        )
        for factor, words in FACTORS.items()
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES._replace(long={**common.NAMES.long, **FACTORS}),
    words=partial(common.priced_instance, ranked=False),
    quantities=tuple(
        Quantity(f"{name}_{factor}", text, own=(factor,))
        for factor in FACTORS
        for name, text in KEPT.items()
    ),
    claims=tuple(_exponents()),
    figures=(Draw("ablations", _panels, "One factor of PI-FT at a time."),),
)
