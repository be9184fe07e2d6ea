"""Best of n: nothing is trained, the sample with the highest reward of n is kept."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Earned, Paths, draw, follow


def kl_bound(n: ArrayLike) -> Array:
    """The bound log n - (n - 1)/n: the divergence of the best of n from one draw, at most, in nats.

    It is attained where the reward has no ties (Beirami et al. 2024).
    """
    n = jnp.asarray(n, float)
    return jnp.log(n) - (n - 1) / n


def best_of(key: Array, tuning: Tuning, num: int, n: int) -> tuple[Paths, Earned]:
    """`num` paths of the pre-trained model, each the best of n of the same class.

    The law of Y_0 changes too, so that what is earned compares with the marginal bound. Sampling
    costs n times that of the model.

    Args:
        key: of all draws.
        tuning: the problem.
        num: of paths that are kept.
        n: that each is chosen from.

    Returns:
        The paths, and their rewards with `kl_bound(n)` for each one's divergence.

    Raises:
        InputError: for fewer than one path, or n below 1.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    noise = draw(key, tuning, num * n)
    if noise.label is not None:
        noise = noise._replace(label=jnp.repeat(noise.label[:num], n))
    paths = follow(tuning, tuning.base, noise)
    reward = tuning.reward(paths.states[-1], paths.label).reshape(num, n)
    best = jnp.argmax(reward, axis=1)
    chosen = n * jnp.arange(num) + best
    label = None if paths.label is None else paths.label[chosen]
    kept = Paths(paths.states[:, chosen], paths.draws[:, chosen], label)
    divergence = jnp.full(num, kl_bound(n), reward.dtype)
    return kept, Earned(jax.vmap(lambda r, i: r[i])(reward, best), divergence)
