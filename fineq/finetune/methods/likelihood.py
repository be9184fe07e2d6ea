"""What methods share that know the reward of a path but not its gradient.

A transition of the policy is normal, so that with the paths kept and the policy moved,

    log p_new(Y_{t+1}|Y_t) - log p(Y_{t+1}|Y_t) = h_t·W_t - ½ |h_t|²,  h_t = (m_new - m)_t(Y_t)/σ_t,

and at h = 0 the gradient of Σ_t h_t·W_t is the score function of the path.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ddpm import Denoiser
from fineq.errors import InputError
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Earned, Paths, draw, earned_of, means, walk


class Sampled(NamedTuple):
    """Paths of a policy and what is known of it there.

    Attributes:
        paths: as simulated.
        means: m_t(Y_t), `[T, B, d]`.
        errors: e_t, `[T, B, d]`.
        earned: reward and divergence.
    """

    paths: Paths
    means: Array
    errors: Array
    earned: Earned


def sample(key: Array, tuning: Tuning, policy: Denoiser, num: int) -> Sampled:
    """`num` paths of a policy."""
    paths, m = walk(tuning, policy.mean, draw(key, tuning, num))
    e = (m - means(tuning.base, paths)) / tuning.sigmas[:, None, None]
    return Sampled(paths, m, e, earned_of(tuning, paths, e))


def moved(tuning: Tuning, sampled: Sampled, policy: Denoiser) -> Array:
    """h_t, how far a policy is from the one that made the paths, `[T, B, d]`."""
    return (means(policy, sampled.paths) - sampled.means) / tuning.sigmas[:, None, None]


def score_function(tuning: Tuning, sampled: Sampled, credit: Array, policy: Denoiser) -> Array:
    """A loss whose gradient, at the policy of the paths, is that of the score function.

    mean over paths of Σ_t (-A_t h_t·W_t + β ½ |e_t + h_t|²), A the `credit` `[T, B]` or `[1, B]`:
    the second term is the gradient of the divergence at the states visited.
    """
    h = moved(tuning, sampled, policy)
    log_ratio = jnp.sum(h * sampled.paths.draws, axis=-1)
    divergence = 0.5 * jnp.sum(jnp.square(sampled.errors + h), axis=-1)
    return jnp.sum(tuning.beta * divergence - credit * log_ratio) / h.shape[1]


def leave_one_out(gained: Array) -> Array:
    """Each path's number less the mean of the others', along the last axis."""
    num = gained.shape[-1]
    return (gained - jnp.mean(gained, axis=-1, keepdims=True)) * (num / (num - 1))


def check_others(num_paths: int) -> None:
    """Raise `InputError` where a path has no others to be compared with."""
    if num_paths < 2:
        raise InputError(
            f"training.num_paths must be at least 2, for a path is compared with the others, "
            f"got {num_paths}"
        )
