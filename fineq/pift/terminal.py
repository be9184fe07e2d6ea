"""The law of Y_T of a fine-tuned model, and how far it is from a tilted law.

In continuous time, when Y_0 and Y_T are independent, the optimum samples p_pre e^{r/β}/Z, p_pre
being the law of Y_T without control. A chain with fixed noise misses it by its step size, and by
more when the target is the tilt of the data law, from which p_pre itself differs. Source:
arXiv 2412.18164 (`pift/continuous-time`).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.ddpm.laws import Gaussian, gaussian
from fineq.fast.lapack import after
from fineq.pift import lq, tilting
from fineq.pift.problem import Problem
from fineq.pift.rewards import Quadratic


def gaussian_divergence(mean: Array, covariance: Array, target: Gaussian) -> Array:
    """KL(N(mean `[d]`, covariance `[d, d]`) || target), accurate also where it is near 0."""
    W = target.eigenvectors / jnp.sqrt(target.eigenvalues)[None]
    z = W.T @ (mean - target.mean)
    eye = jnp.eye(z.shape[0], dtype=z.dtype)
    apart = jnp.linalg.eigvalsh(W.T @ covariance @ W - eye)
    # λ - 1 - log λ of each relative variance, whose leading digits would cancel near 1.
    return 0.5 * (z @ z + jnp.sum(apart - jnp.log1p(apart)))


def grid_divergence(density: Array, log_target: Array, cell: ArrayLike) -> Array:
    """KL of a density on a grid `[P]` from the law proportional to e^{log_target} `[P]`.

    Both are normalised on the grid, so that mass outside it does not count.

    Args:
        density: at the points, not negative.
        log_target: at the points, up to a constant.
        cell: volume of a cell.
    """
    p = density / (jnp.sum(density) * cell)
    mass = jnp.sum(jnp.exp(log_target - jnp.max(log_target))) * cell
    log_q = log_target - jnp.max(log_target) - jnp.log(mass)
    ratio = jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1.0)) - log_q, 0.0)
    # p log(p/q) - p + q has the same sum, and no negative terms to cancel.
    return jnp.sum(p * ratio - p + jnp.exp(log_q)) * cell


class Terminal(NamedTuple):
    """Divergences of Y_T from its targets.

    Attributes:
        own: from the tilt of the pre-trained chain's own law of Y_T.
        data: from the tilt of the data law.
        pretrained: of the pre-trained Y_T from the data law, without any control.
    """

    own: Array
    data: Array
    pretrained: Array


Moments = tuple[Array, Array]


def chain_moments(problem: Problem) -> tuple[Moments, Moments]:
    """Mean and covariance of Y_T of the optimal chain, and of the pre-trained one.

    For Gaussian data and a linear or quadratic reward; exact.
    """
    arrays = lq.linear_quadratic(problem)
    found = lq.objective(arrays, lq.optimum(arrays).policy)
    before = lq.objective(arrays, lq.pretrained(arrays))
    return (found.mean, found.covariance), (before.mean, before.covariance)


def of_chain(problem: Problem, law: Gaussian) -> Terminal:
    """Divergences of the optimal chain for Gaussian data `law` and constant β, exact by moments."""
    reward = lq.linear_quadratic(problem).terminal
    return divergences(*chain_moments(problem), law, reward, problem.betas[0])


def of_process(
    law: Gaussian, reward: Quadratic, beta: ArrayLike, alpha_bar: ArrayLike, start: Gaussian
) -> Terminal:
    """The same in continuous time, started at noise level ᾱ: what no step size removes."""
    bridge = tilting.bridge(law, alpha_bar)
    found = tilting.tilt_bridge(bridge, reward, beta)[0].marginal(start)
    return divergences(found, bridge.marginal(start), law, reward, beta)


def divergences(
    found: Moments, before: Moments, law: Gaussian, reward: Quadratic, beta: ArrayLike
) -> Terminal:
    """Divergences of a Gaussian Y_T.

    Args:
        found: mean and covariance of Y_T.
        before: those without control.
        law: of the data.
        reward: what both are tilted by.
        beta: at which price.
    """
    base = gaussian(*after(found, before))
    own = gaussian_divergence(*found, _tilted(base, reward, beta))
    law = after(own, law)
    data = gaussian_divergence(*found, _tilted(law, reward, beta))
    law = after(data, law)
    return Terminal(own, data, gaussian_divergence(*before, law))


def _tilted(law: Gaussian, reward: Quadratic, beta: ArrayLike) -> Gaussian:
    components = tilting.tilt(law, reward, beta).law.components
    return Gaussian(*(leaf[0] for leaf in components))
