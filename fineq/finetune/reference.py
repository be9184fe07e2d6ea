"""An exact policy that networks are compared with, on its own paths."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.ddpm.denoiser import Denoiser
from fineq.finetune.problem import Tuning, exact_problem
from fineq.finetune.rollout import Paths, means
from fineq.pift import simulate
from fineq.pift.problem import Mean


class Reference(NamedTuple):
    """What a policy does on its paths: the `reference` of methods that train adapters.

    Attributes:
        paths: of the policy.
        means: m*_t(Y_t), `[T, N, d]`.
    """

    paths: Paths
    means: Array

    def errors(self, tuning: Tuning, policy: Denoiser) -> dict[str, Array]:
        """`error`: E Σ_t ½ |(m_t - m*_t)(Y_t)/σ_t|², KL(P* ‖ P) of paths in nats, estimated."""
        apart = (means(policy, self.paths) - self.means) / tuning.sigmas[:, None, None]
        return {"error": jnp.mean(jnp.sum(jnp.square(apart), axis=(0, 2))) / 2}


def reference_of(key: Array, tuning: Tuning, policy: Mean, num: int) -> Reference:
    """Simulate an exact policy, such as `fineq.pift.grid_mean` of an optimum; keep what it does.

    Args:
        key: of all draws.
        tuning: the problem, without classes.
        policy: m* of one point.
        num: of paths.

    Raises:
        InputError: for a problem with classes, and as `fineq.pift.simulate`.
    """
    paths = simulate(key, exact_problem(tuning), policy, num, keep=True).paths
    assert paths is not None
    each = jax.vmap(lambda t, y: jax.vmap(lambda x: policy(t, x))(y))
    found = each(jnp.arange(tuning.num_steps), paths[:-1])
    noise = (paths[1:] - found) / tuning.sigmas[:, None, None]
    return Reference(Paths(paths, noise, None), found)
