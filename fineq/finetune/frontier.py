"""The ideal frontier of reward against divergence: no policy of this divergence earns more.

The laws P_b ∝ P_pre e^{r/b} of whole paths, the start among them, earn the most for what they
differ from the pre-trained one:

    E_b r,   KL_b = KL(P_b ‖ P_pre) = E_b r/b - log E e^{r/b},

one point for each b > 0, from the same weighted paths for all. With classes both are means over
them. A policy with β = b that lies on it has no gap to the marginal bound.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.finetune.truth import over_classes
from fineq.finetune.weights import Weighed
from fineq.pift.certificates import Estimate, log_masses, normal_estimate


class Frontier(NamedTuple):
    """Points of the frontier.

    Attributes:
        betas: b, `[K]`.
        reward: E_b r, `[K]` each.
        divergence: KL_b in nats, `[K]` each.
        effective: paths that carry the weight, of the class where they are fewest, `[K]`.
    """

    betas: Array
    reward: Estimate
    divergence: Estimate
    effective: Array


def ideal_frontier(paths: Weighed, betas: Array) -> Frontier:
    """The frontier at all b `[K]` from paths of the pre-trained model, or of one that covers it.

    With normalised weights w of mean 1 over starts, an estimate's error is to first order the mean
    of w(r - E_b r), and of w(r - E_b r)/b - (w - 1): the draws behind the intervals. Where weights
    have long tails intervals are too short, well before the effective paths run out.
    """

    def at(b: Array) -> tuple[Estimate, Estimate, Array]:
        reward, divergence, effective = jax.vmap(_point, (0, 0, None))(
            paths.logs(b), paths.reward, b
        )
        return over_classes(reward), over_classes(divergence), jnp.min(effective)

    return Frontier(betas, *jax.vmap(at)(betas))


def _point(logs: Array, r: Array, b: Array) -> tuple[Estimate, Estimate, Array]:
    """The two coordinates from the paths of one class, `[S, inner]`."""
    found = log_masses(logs)
    weights = jax.nn.softmax(logs.ravel()).reshape(r.shape)
    mean = jnp.sum(weights * r)
    apart = r.shape[0] * jnp.sum(weights * (r - mean), axis=1)
    reward = normal_estimate(mean, apart)
    divergence = normal_estimate(mean / b - found.marginal, apart / b - found.shares)
    return reward, divergence, found.effective
