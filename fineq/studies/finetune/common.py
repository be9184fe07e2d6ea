"""What the studies of fine-tuning networks share: names of fields, problems, methods."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fineq.studies.finetune.claims  # noqa: F401  (registers its claims)
from fineq.ddpm import Denoiser
from fineq.ddpm.networks import rounded
from fineq.finetune import PolicyIteration, Tuning, make_tuning
from fineq.finetune.memory import check_step
from fineq.finetune.methods.base import AdapterTraining
from fineq.finetune.problem import Reward
from fineq.finetune.rewards import Ink
from fineq.optimiser import Optimiser
from fineq.studies import common, statistics
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.given import Given
from fineq.studies.recipe import Row
from fineq.sweep import Axis, SweepResult
from fineq.sweep.stages import Member, Stages

NAMES = common.Names(
    {
        "beta": "price β of a nat",
        "step": "step",
        "stop": "steps of pre-training",
        "part": "part of the error of the score that is left",
        "prompt": "class that is asked for",
        "t": "step t of the chain",
    },
    {"beta": "β"},
)


class Study(common.Study[FinetuneConfig, Given, Any]):
    """What a study of fine-tuning works with."""

    __slots__ = ()

    @property
    def dtype(self) -> Any:
        """Of networks and paths."""
        return jnp.dtype(self.config.precision)

    @property
    def base(self) -> Denoiser:
        """The base model, in the arithmetic that is configured."""
        assert self.given.base is not None
        return computing(self.config, self.given.base.denoiser)


def make_study(config: FinetuneConfig, given: Given, stages: Stages, *own: Axis) -> Study:
    """Bind a configuration; `own` are the axes that the study lays itself.

    Raises:
        ResourceError: for a step of PI-FT that does not fit.
    """
    axes = [*common.user_axes(config), common.seed_axis(config)]
    if _convolves(config, given) and jax.default_backend() == "cpu":
        # Convolutions of many members at once are grouped ones, slower on CPUs: six members of a
        # small U-Net take a sixth longer for a step of training than one after the other.
        stages = dataclasses.replace(stages, block_size=stages.block_size or 1)
    study = Study(config, given, stages, lambda member: member, axes, tuple(own))
    if given.base is not None:
        check_memory(study, policy_iteration(study, {}))
    return study


def _convolves(config: FinetuneConfig, given: Given) -> bool:
    """Whether the model that is trained or fine-tuned has convolutions."""
    if given.base is None:
        return config.network.name == "unet"
    return any(x.ndim == 4 for x in jax.tree.leaves(given.base.denoiser.variables))


def computing(config: FinetuneConfig, denoiser: Denoiser) -> Denoiser:
    """A model whose network has the configured arithmetic."""
    return rounded(denoiser) if config.network.precision == "bfloat16" else denoiser


def tuning_of(study: Study, reward: Reward, member: Member) -> Tuning:
    """The problem of a member: the base model, the reward, and β, the member's where it has one."""
    own = member.get("beta")
    beta = jnp.asarray(study.config.beta if own is None else own, study.dtype)
    return make_tuning(study.base, reward, beta)


def check_memory(study: Study, by: AdapterTraining) -> None:
    """Raise `ResourceError` where one step of fine-tuning does not fit, before anything runs.

    A reward is thought to hold nothing.
    """
    of_classes = study.config.study == "prompts"
    labels = np.asarray(study.config.reward.labels) if of_classes else None
    problem = make_tuning(study.base, Ink(), 1.0, labels)
    check_step(by, problem, "tuning.num_paths, chain.num_steps or the size of the network")


def policy_iteration(study: Study, member: Member) -> PolicyIteration:
    """PI-FT as configured, and as swept for a member."""
    t = study.config.tuning
    damping = member.get("tuning.damping", t.damping)
    return PolicyIteration(
        **shared(study.config, t.num_steps * t.num_inner),
        num_inner=t.num_inner,
        remat=t.remat,
        damping=jnp.asarray(damping, study.dtype),
    )


def shared(config: FinetuneConfig, num_updates: int) -> dict[str, Any]:
    """What all methods have in common, as configured, for a number of updates of the optimiser."""
    t = config.tuning
    optimiser = Optimiser(t.learning_rate, num_updates, clip=t.clip, average=0.0)
    return {"num_paths": t.num_paths, "rank": t.rank, "optimiser": optimiser}


def records(num_steps: int, num: int = 24) -> np.ndarray:
    """0, and about `num` steps at which training is recorded, the more the earlier."""
    return np.unique([0, *np.geomspace(1, num_steps, num).round().astype(int)])


def seen(trained: SweepResult, name: str) -> np.ndarray:
    """What steps reported, at the records after the first: before it no paths have been seen."""
    return trained.metrics[name][..., 1:]


def told(claim: str, quantity: str, what: str, unit: str = "1", **more: Any) -> Row:
    """The row of a number that is said and held against no theory: its median over seeds."""
    return Row(claim, what, statistics.Median(quantity), unit=unit, **more)


def named_instance(study: Study, piece: common.Slice, ranked: bool = True) -> str:
    """Data, network, rank where it is one number, and swept values, as claims name them."""
    assert study.given.base is not None
    base, rank = study.given.base, f"rank {study.config.tuning.rank}" if ranked else ""
    network = type(base.denoiser.module).__name__
    return common.listed(base.data.name, f"one {network}", rank, piece.label)


def priced_instance(study: Study, piece: common.Slice, ranked: bool = True) -> str:
    """The same with the price β, where it is one number."""
    price = "" if "beta" in piece.at else f"β = {study.config.beta:g}"
    return common.listed(named_instance(study, piece, ranked), price)


def base_instance(study: Study, piece: common.Slice) -> str:
    """Data and network of a base model that is being made."""
    n = study.config.network
    return common.listed(study.config.data.name, f"{n.name} of width {n.width}", piece.label)
