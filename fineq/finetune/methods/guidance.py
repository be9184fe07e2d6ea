"""Guidance by the reward: nothing is trained, each step of the sampler is pushed."""

import jax
import jax.numpy as jnp
from jax import Array

from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Earned, Paths, draw, earned_of, means, walk


def guide(key: Array, tuning: Tuning, num: int) -> tuple[Paths, Earned]:
    """`num` paths with means m_t = m0_t + (σ_t²/β) ∇_y r(x̂0(t, y)), and what they earn.

    The estimate x̂0 of the data stands for where the path will end: it takes the reward of a mean
    for the mean of a reward. Sampling costs three times that of the model (Dhariwal and Nichol
    2021; Bansal et al. 2023).

    Args:
        key: of all draws.
        tuning: the problem.
        num: of paths.

    Raises:
        InputError: for fewer than one path.
    """

    def mean(t: Array, y: Array, label: Array | None) -> Array:
        push = jax.grad(lambda y: jnp.sum(tuning.reward(tuning.base.data(t, y, label), label)))(y)
        return tuning.base.mean(t, y, label) + tuning.sigmas[t] ** 2 / tuning.beta * push

    paths, m = walk(tuning, mean, draw(key, tuning, num))
    e = (m - means(tuning.base, paths)) / tuning.sigmas[:, None, None]
    return paths, earned_of(tuning, paths, e)
