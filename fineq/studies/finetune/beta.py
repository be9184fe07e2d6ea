"""Reward, divergence and what is left to gain, against the price β of a nat.

For each price the base model is fine-tuned by PI-FT with low-rank adapters. What its law costs and
earns is measured on fresh paths; the bound on what any policy earns comes from the base model's
paths, weighted, and where too few of them carry the weight, from the fine-tuned model's own
(`finetune/gap`). How much values bend says where plain policy iteration contracts
(`finetune/contraction`); what small steps of the optimiser reach below that is measured.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory
from fineq.finetune.contraction import curvatures
from fineq.keys import key_for
from fineq.studies import statistics
from fineq.studies.finetune import common, tuned
from fineq.studies.finetune.adapters import kept
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.rewards import Rewarded, rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

QUANTITIES = (
    *tuned.REPORTED,
    Quantity("delay", "mean time to converge [steps]"),
    Quantity("last_reward", "reward", ("iteration",)),
    Quantity("last_divergence", "divergence from the base model [nat]", ("iteration",)),
    Quantity("ratio", "largest contraction factor q_t found"),
    Quantity("threshold", "β at which the largest contraction factor found is 1", own=()),
)
FALLS = statistics.Exponent("divergence", "beta")
FASTER = statistics.Exponent("delay", "beta")


def _several(view: View) -> bool:
    return len(view.values_of("beta")) > 1


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axis is the price β."""
    return common.make_study(config, given, stages, Axis("beta", config.betas))


def measure(study: common.Study) -> Found:
    """Fine-tune at every price, and look at what comes of it."""
    made = rewarded(study)
    axes = [*study.own, *study.axes]
    by = partial(common.policy_iteration, study)
    trained = tuned.fine_tune(study, made, axes, by, study.config.tuning.num_steps)
    base = tuned.base_paths(study, made)
    seen = tuned.tuned_paths(study, made, axes, trained.final.average, base)
    bends = study.stages.measure("curvatures", partial(_bends, study, made), study.axes)
    betas = np.asarray(study.own[0].values).reshape(-1, *(1,) * len(study.axes))
    return Found(
        {
            **seen,
            **{name: common.seen(trained, name) for name in ("last_reward", "last_divergence")},
            "delay": _delay(
                trained.iterations[1:],
                common.seen(trained, "last_objective"),
                np.mean(base["rewards"], axis=(-3, -2, -1))[None],
                seen["objective"],
            ),
            "threshold": bends,
            "ratio": bends[None] / betas,
        },
        list(study.own),
        {"iteration": trained.iterations[1:]},
        trained.diverged,
        made.notes,
        files=kept(study, trained.final.average, trained.diverged),
    )


def _bends(study: common.Study, made: Rewarded, member: Member) -> Array:
    """The price at which policy iteration begins to contract, at the base model."""
    tuning = common.tuning_of(study, made.reward, {"beta": 1.0})
    num = tuning.num_steps
    times = jnp.asarray(np.unique(np.linspace(0, num - 1, min(num, TIMES)).round()), jnp.int32)
    key = key_for(member["seed"], "states whose curvature is looked at")
    found = curvatures(
        key, tuning, tuning.base, times, num=study.config.truth.num_curvatures, continuations=8
    )
    return found.threshold


TIMES = 8  # steps of the chain at which curvatures are looked at, the last among them


def _delay(
    steps: np.ndarray, objective: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """The area under what is left of the way to the last objective, as a share: mean time, `[...]`.

    Args:
        steps: `[R]`, recorded.
        objective: J there, `[..., R]`, from the few paths of a step.
        first: J of the base model, from many paths.
        last: J of the fine-tuned one, likewise; NaN where it is not above the first.
    """
    rise = np.where(last > first, last - first, np.nan)
    return np.asarray(np.trapezoid((last[..., None] - objective) / rise[..., None], steps, axis=-1))


def _panels(view: View) -> list[figures.Panel]:
    betas = view.values_of("beta").tolist()

    def each(name: str) -> list[figures.Line]:
        return [view.line(name, f"β = {beta:g}", beta=beta) for beta in betas]

    return [
        view.panel(
            "curves", "iteration", each("last_reward"), title="Reward", log="x", ordered=True
        ),
        view.panel(
            "curves",
            "iteration",
            each("last_divergence"),
            title="Divergence",
            log="x",
            ordered=True,
        ),
    ]


def _against(view: View) -> list[figures.Panel]:
    threshold = float(np.median(view("threshold")))
    mark = figures.Theory("largest $q_t$ found is 1", threshold=threshold)
    return [
        view.panel(
            "curves",
            "beta",
            {"gap": "left to gain", "gap_high": "upper limit", "divergence": "from the base model"},
            mark,
            title="Divergences",
            log="x",
            ylabel="nats",
        ),
        view.panel(
            "curves",
            "beta",
            {"reward": "fine-tuned", "best": "most at the same divergence"},
            mark,
            title="Reward",
            log="x",
        ),
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=(
        common.told(
            *("finetune/gap", "gap_high", "what is left to gain, upper 95% limit, β = {beta}"),
            "nat",
            each=("beta",),
            where=tuned.few,
        ),
        Row(
            "finetune/beta-tradeoff",
            "exponent in β of the divergence from the base model",
            FALLS,
            Theory(0.0, "<=", "larger β stays closer"),
            when=_several,
        ),
        Row(
            "finetune/beta-tradeoff",
            "exponent in β of the mean time to converge",
            FASTER,
            Theory(0.0, "<=", "larger β converges faster"),
            when=_several,
        ),
        common.told(
            "finetune/contraction",
            "threshold",
            "β at which the largest q_t found passes 1, at states of the base model",
        ),
    ),
    figures=(
        Draw(
            "training",
            _panels,
            "Fine-tuning at several prices.",
            claims=("finetune/beta-tradeoff",),
        ),
        Draw("prices", _against, "What fine-tuned models gained, and have left to gain."),
    ),
)
