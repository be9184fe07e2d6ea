"""What fine-tuning a network is given: a pre-trained model, a reward, and the price of leaving it.

The control problem is that of `fineq.pift`, for a whole batch of points at once: a *policy* is a
`Denoiser` with other variables, its mean m_t in the place of the pre-trained m0_t, and

    J = E[ r(Y_T) - β Σ_t KL_t ],   KL_t = ½ |e_t|²,   e_t = (m_t - m0_t)(Y_t)/σ_t.

β is in units of the reward per nat. Source: arXiv 2412.18164.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq import pift
from fineq.arrays import real_array
from fineq.ddpm import Denoiser
from fineq.ddpm.laws import standard_normal
from fineq.errors import InputError, in_a_line
from fineq.finetune.rewards import Reward, as_tree


class Tuning(NamedTuple):
    """What fine-tuning is given.

    Attributes:
        base: the pre-trained model.
        reward: r.
        beta: `[]`, the price of a nat.
        labels: `[C]`, the classes from which a path's is drawn uniformly, int32; None where the
            model runs without.
    """

    base: Denoiser
    reward: Reward
    beta: Array
    labels: Array | None = None

    @property
    def d(self) -> int:
        """Dimension of the state."""
        return self.base.d

    @property
    def num_steps(self) -> int:
        """T."""
        return self.base.schedule.num_steps

    @property
    def sigmas(self) -> Array:
        """σ_t, `[T]`."""
        return self.base.schedule.sigmas


class PointReward(NamedTuple):
    """The reward of one point, as `fineq.pift` asks for it."""

    reward: Reward

    def __call__(self, y: Array) -> Array:
        """r(y) for y `[d]`."""
        return self.reward(y[None], None)[0]


def make_tuning(
    base: Denoiser, reward: Reward, beta: ArrayLike, labels: ArrayLike | None = None
) -> Tuning:
    """A fine-tuning problem.

    A reward may be a plain function `(y [B, d], label [B] or None) -> [B]` as well; one of a single
    point is made a reward by `rewards.per_point`.

    Raises `InputError` for a model that is no `Denoiser`, a reward that does not return one number
    for each point, classes that the model does not have, and on concrete numbers for β <= 0. What
    a reward is worth is looked at by `check_reward`, which needs samples.
    """
    if not isinstance(base, Denoiser):
        raise InputError(f"base must be a Denoiser, got a {type(base).__name__}")
    dtype = base.schedule.sigmas.dtype
    beta = real_array("beta", beta, 0).astype(dtype)
    if not isinstance(beta, Tracer) and not beta > 0:
        raise InputError(f"beta must be above 0, got {beta:g}")
    classes = None if labels is None else _classes(base, labels)
    reward = as_tree("reward", reward)
    _check_reward(reward, jax.ShapeDtypeStruct((2, base.d), dtype), classes is not None)
    return Tuning(base, reward, beta, classes)


def exact_problem(tuning: Tuning) -> pift.Problem:
    """The same problem of one point, for the exact methods of `fineq.pift`.

    Raises:
        InputError: for a problem with classes.
    """
    if tuning.labels is not None:
        raise InputError("a problem with classes has no form of one point: give no labels")
    schedule = tuning.base.schedule
    start = standard_normal(tuning.d, schedule.sigmas.dtype)
    chain = pift.Chain(pift.ScoreMean(tuning.base, schedule), schedule.sigmas, start)
    return pift.make_problem(chain, PointReward(tuning.reward), tuning.beta)


def _classes(base: Denoiser, labels: ArrayLike) -> Array:
    given = np.asarray(labels) if not isinstance(labels, Array) else labels
    if given.ndim != 1 or not given.size or not jnp.issubdtype(given.dtype, jnp.integer):
        raise InputError(
            f"labels must be a list of whole numbers, got shape {given.shape} of {given.dtype}"
        )
    if not base.num_classes:
        raise InputError("labels need a model with classes, and this one has none")
    if not isinstance(given, Tracer):
        bad = [int(c) for c in np.asarray(given) if not 0 <= c < base.num_classes]
        if bad:
            raise InputError(f"labels must lie in [0, {base.num_classes}), got {bad[0]}")
    return jnp.asarray(given, jnp.int32)


def _check_reward(reward: Reward, y: jax.ShapeDtypeStruct, labelled: bool) -> None:
    label = jax.ShapeDtypeStruct(y.shape[:1], jnp.int32) if labelled else None
    try:
        # A tuple that holds no arrays, which a reward may be, is no function to JAX.
        found = jax.eval_shape(lambda y, label: reward(y, label), y, label)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the reward failed on points of shape {y.shape} ({in_a_line(error)}): "
            "rewards.per_point makes one of a function of a single point"
        ) from error
    shape = getattr(found, "shape", None)
    if shape != y.shape[:1]:
        raise InputError(
            f"the reward must return one number per point, shape {y.shape[:1]}, got "
            f"{type(found).__name__ if shape is None else shape}"
        )
