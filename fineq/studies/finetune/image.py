"""Pictures before and after fine-tuning, and what is left to gain, in nats.

At each price β the base model is fine-tuned by PI-FT; samples of both are drawn from the same
noise, so that each picture is beside the one that it was (`finetune/gap`).
"""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jax import Array

from fineq import figures
from fineq.ddpm import samplers
from fineq.errors import InputError
from fineq.finetune import adapted
from fineq.keys import key_for
from fineq.studies.common import first_alone
from fineq.studies.finetune import common, tuned
from fineq.studies.finetune.adapters import kept
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.pictures import SHOWN, pictures, sheet
from fineq.studies.finetune.rewards import rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, View
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

QUANTITIES = (
    Quantity("before", "reward of the base model", own=()),
    *tuned.REPORTED,
    Quantity("last_reward", "reward", ("iteration",)),
    Quantity("last_divergence", "divergence from the base model [nat]", ("iteration",)),
)


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axis is the price β.

    Raises:
        InputError: for a model of what is no image.
    """
    if given.data.shape is None:
        raise InputError("study=image needs a model of images, and the data of this one are none")
    return common.make_study(config, given, stages, Axis("beta", config.betas))


def measure(study: common.Study) -> Found:
    """Fine-tune, and draw from before and after."""
    made, axes = rewarded(study), [*study.own, *study.axes]
    by = partial(common.policy_iteration, study)
    trained = tuned.fine_tune(study, made, axes, by, study.config.tuning.num_steps)
    base = tuned.base_paths(study, made)
    seen = tuned.tuned_paths(study, made, axes, trained.final.average, base)
    adapters = trained.final.average
    # The base model is one whose adapters are zero: one program for all pictures.
    models = jax.tree.map(lambda x: np.concatenate([np.zeros_like(x[:1]), x]), adapters)
    pictured = [Axis("model", range(1 + len(study.own[0]))), *study.axes]
    shown = study.stages.measure("pictures", partial(_shown, study), pictured, {"adapters": models})
    # Of the first combination of swept values, the first seed.
    first = (0,) * len(study.axes)
    names = ["base model", *(f"β = {beta:g}" for beta in study.own[0].values)]
    samples = [x[first] for x in shown]
    return Found(
        {
            **seen,
            "before": np.mean(base["rewards"], axis=(-3, -2, -1)),
            **{name: common.seen(trained, name) for name in ("last_reward", "last_divergence")},
        },
        list(study.own),
        {"iteration": trained.iterations[1:]},
        trained.diverged,
        made.notes,
        arrays=pictures(study.given.data.shape, dict(zip(names, samples, strict=True))),
        files=kept(study, adapters, trained.diverged),
    )


def _shown(study: common.Study, member: Member) -> Array:
    """Samples of a model, `[SHOWN, d]`, from noise that is the same for all of a seed."""
    model = adapted(study.base, member["adapters"])
    return samplers.ancestral(key_for(member["seed"], "noise of the pictures"), model, SHOWN)


def _panels(view: View) -> list[figures.Panel]:
    betas = view.values_of("beta").tolist()

    def each(name: str) -> list[figures.Line]:
        return [view.line(name, f"β = {beta:g}", beta=beta) for beta in betas]

    titles = {"last_reward": "Reward", "last_divergence": "Divergence"}
    return [
        view.panel("curves", "iteration", each(name), title=title, log="x", ordered=True)
        for name, title in titles.items()
    ]


def _pictures(views: Sequence[View]) -> list[figures.Figure]:
    view = views[0]
    before = np.median(view("before"))
    panels = [sheet("base model", f"Base model, reward {before:.2f}".replace("-", "−"))]
    for beta in view.values_of("beta"):
        at = view.chosen(beta=beta)
        reward, high = (np.median(at(name, lost=False)) for name in ("reward", "gap_high"))
        title = f"β = {beta:g}, reward {reward:.2f}, ≤ {high:.2g} nats left"
        panels.append(sheet(f"β = {beta:g}", title.replace("-", "−")))
    caption = "Samples before and after fine-tuning, from the same noise."
    note = first_alone([view.piece for view in views])
    return [figures.Figure("pictures", tuple(panels), caption, note)]


_told = partial(common.told, "finetune/gap", each=("beta",))


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=(
        _told(
            "gap_high", "what is left to gain, upper 95% limit, β = {beta}", "nat", where=tuned.few
        ),
        _told("divergence", "divergence from the base model, β = {beta}", "nat"),
        _told("reward", "reward, β = {beta}"),
        _told(
            "judged",
            "share of samples in which a second classifier sees the class, β = {beta}",
            when=lambda view: "judged" in view.found.values,
        ),
        common.told("finetune/gap", "before", "reward of the base model"),
    ),
    figures=(_pictures, Draw("training", _panels, "Fine-tuning at each price.")),
)
