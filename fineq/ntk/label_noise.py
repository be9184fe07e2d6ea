"""How noisy the labels of score regression are: E tr Cov(X_0 | X_t)/d, per output.

X_0 = f*(t, X_t) + noise, and at every t the variance of X_0 splits into that of the noise and that
of the signal f*, so one gives the other. In one and two dimensions the expectation over X_t is
taken by the trapezoidal rule, which converges exponentially on analytic densities; otherwise by
draws, with an interval. Claim `ntk/assumptions` (Han, Razaviyayn, Xu, arXiv 2401.15604).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax import Array
from jax.typing import ArrayLike

from fineq.ddpm.laws import Points
from fineq.errors import InputError
from fineq.ntk.forward import Process, Times, alpha, triples, uniform, variance
from fineq.ntk.targets import Target, in_blocks, noise, posterior, width
from fineq.ntk.truncated import Truncated
from fineq.rates.intervals import LEVEL, Interval, check_confidence, mean_interval

_DEVIATIONS = 8.0  # a normal density beyond them weighs 1e-15
_LIMITS = {1: 2**15, 2: 768}  # nodes along each axis, by dimension
_RULES = (10, 16)  # levels of t: the second rule is used, the first tells its error
_MOST = 2**25  # numbers per time beyond which draws are cheaper than a grid


class OnGrid(NamedTuple):
    """Label noise by quadrature.

    Attributes:
        noise: E tr Cov(X_0 | X_t)/d, `[K]`.
        error: `[K]`, the larger of the mass that the grid misses and the change on leaving out
            every other node.
    """

    noise: Array
    error: Array


class Levels(NamedTuple):
    """Root mean squares per output over t and X_t.

    Attributes:
        noise: of X_0 - f*: σ_noise of the stopping rule.
        signal: of f* - E X_0.
    """

    noise: Interval
    signal: Interval


def spread(law: Target) -> Array:
    """Trace of Cov(X_0)/d: noise plus signal at every t."""
    return jnp.trace(law.moments()[1]) / law.d


def bound_of(law: Target) -> float | None:
    """Half the side of the smallest centred cube that holds X_0; None where X_0 is unbounded."""
    if isinstance(law, Truncated):
        return float(jnp.maximum(jnp.max(jnp.abs(law.low)), jnp.max(jnp.abs(law.high))))
    if isinstance(law, Points) and float(law.variance) == 0:
        return float(jnp.max(jnp.abs(law.locations)))
    return None


def nodes_for(process: Process, law: Target, t: Array, bound: float) -> int:
    """Nodes along each axis that resolve the posterior at every one of the times.

    Between points at distance δ the posterior turns over a width h/(a δ), and its nearest pole is
    π times that away: a step of that width leaves e^-18 of what is small there already.
    """
    t64 = np.asarray(t, np.float64)
    a, h = (np.asarray(f(process, t64)) for f in (alpha, variance))
    bound = max(bound, 1e-3)
    with np.errstate(divide="ignore"):  # α rounds to 0 at late t: no point is told from another
        step = np.minimum(np.sqrt(h) / 4, h / (a * 2 * bound * np.sqrt(law.d)))
    wanted = np.max(2 * (a * bound + _DEVIATIONS * np.sqrt(h)) / step)
    return int(2 * np.ceil(min(wanted, _LIMITS[law.d]) / 2)) + 1


def noise_on_grid(process: Process, law: Target, t: Array, num: int | None = None) -> OnGrid:
    """Label noise at the times `[K]` for a bounded law in one or two dimensions.

    Args:
        process: the forward process.
        law: of X_0.
        t: times `[K]`.
        num: nodes along each axis, odd; None: as many as the posterior's width asks for, up to
            a limit that shows in the returned error at very small t.

    Raises:
        InputError: for more dimensions, or a law that is not bounded.
    """
    bound = bound_of(law)
    if law.d not in _LIMITS or bound is None:
        raise InputError(
            f"quadrature over X_t takes bounded laws in d = 1 or 2, got d = {law.d}: use draws"
        )
    num = nodes_for(process, law, t, bound) if num is None else num
    return _on_grid(process, law, t, bound, num)


@partial(jax.jit, static_argnames="num")
def _on_grid(process: Process, law: Target, t: Array, bound: float, num: int) -> OnGrid:
    axis = jnp.linspace(-1.0, 1.0, num, dtype=t.dtype)
    unit = jnp.stack(jnp.meshgrid(*[axis] * law.d, indexing="ij"), axis=-1)

    def at(s: Array) -> OnGrid:
        a, h = alpha(process, s), variance(process, s)
        reach = a * bound + _DEVIATIONS * jnp.sqrt(h)
        cell = (2 * reach / (num - 1)) ** law.d

        def one(x: Array) -> Array:
            found = posterior(law, a, h, reach * x)
            density = jnp.exp(found.log_density)
            return jnp.stack([density, density * jnp.trace(found.covariance) / law.d])

        values = in_blocks(law, one, unit.reshape(-1, law.d)).reshape(*unit.shape[:-1], 2)
        every_other = (slice(None, None, 2),) * law.d
        mass, fine = jnp.sum(values.reshape(-1, 2), 0) * cell
        coarse = jnp.sum(values[every_other].reshape(-1, 2), 0)[1] * cell * 2**law.d
        return OnGrid(fine, jnp.maximum(jnp.abs(mass - 1), jnp.abs(fine - coarse)))

    return jax.lax.map(at, t)


def levels(
    process: Process,
    law: Target,
    key: Array,
    num: int,
    times: Times = uniform,
    *,
    confidence: float = LEVEL,
) -> Levels:
    """σ_noise and the signal beside it, root mean squares over t in `times`.

    In one and two dimensions bounded laws of few points or components need no draws: Gauss-Legendre
    over the levels of t, and an interval as wide as the quadrature error, of 0 draws.

    Args:
        process: the forward process.
        law: of X_0.
        key: of the draws.
        num: draws; where none are needed, ignored.
        times: law of t.
        confidence: of the intervals of draws.

    Raises:
        ValueError: for a confidence outside (0, 1).
    """
    check_confidence(confidence)
    found = _by_quadrature(process, law, times)
    if found is None:
        data = triples(process, law, key, num, times)
        values = np.asarray(noise(process, law, data.t, data.x), np.float64)
        estimate = mean_interval(values.ravel(), confidence=confidence)
        mean, margin = estimate.value, estimate.high - estimate.value
    else:
        mean, margin = found
    whole = float(spread(law))
    count, level = (num, confidence) if found is None else (0, 1.0)

    def root(value: float) -> Interval:
        ends = np.sqrt(np.maximum([value, value - margin, value + margin], 0.0))
        return Interval(float(ends[0]), float(ends[1]), float(ends[2]), level, count)

    return Levels(root(mean), root(whole - mean))


def has_grid(process: Process, law: Target, t: Array) -> bool:
    """Whether `noise_on_grid` takes the law, and a grid at times from t `[1]` on is affordable."""
    bound = bound_of(law)
    if law.d not in _LIMITS or bound is None:
        return False
    return nodes_for(process, law, t, bound) ** law.d * width(law) <= _MOST


def _by_quadrature(process: Process, law: Target, times: Times) -> tuple[float, float] | None:
    """Mean over t and its error, of the grids and of the rule over t; None where draws are due."""
    if not has_grid(process, law, times(process, jnp.zeros(1))):
        return None
    means, error = [], 0.0
    for num in _RULES:
        # Levels s² cluster at early times, where posteriors change fastest.
        s, weights = (0.5 * v for v in np.polynomial.legendre.leggauss(num))
        s, weights = s + 0.5, 2 * weights * (s + 0.5)
        found = noise_on_grid(process, law, times(process, jnp.asarray(s**2)))
        means.append(float(weights @ np.asarray(found.noise)))
        error = float(weights @ np.asarray(found.error))
    return means[1], error + abs(means[1] - means[0])


def mass_outside(process: Process, law: Points, t: ArrayLike, radius: float) -> np.ndarray:
    """P(|X_t| > radius) at the times `[K]` for points: exact, by noncentral chi-squared laws.

    |X_t|²/h given X_0 = p is noncentral chi-squared with d degrees of freedom and noncentrality
    a² |p|²/h.
    """
    t64 = np.asarray(t, np.float64)
    a, h = (np.asarray(f(process, t64))[:, None] for f in (alpha, variance))
    sizes = np.sum(np.asarray(law.locations, np.float64) ** 2, axis=-1)[None]
    tails = scipy.stats.ncx2.sf(radius**2 / h, law.d, np.maximum(a**2 * sizes / h, 1e-300))
    return tails @ np.exp(np.asarray(law.log_weights, np.float64))
