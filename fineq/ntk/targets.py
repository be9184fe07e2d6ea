"""The regression function f*(t, x) = E[X_0 | X_t = x] of a law of X_0, exact.

A law is one of `fineq.ddpm.laws` (points, Gaussian, Gaussian mixture) or a mixture on boxes
(`fineq.ntk.truncated`). `posterior` gives the density of X_t and the first two moments of X_0 given
X_t = x, from which come f*, the score (a/h) f* - x/h (`ntk/score-identity`), the label noise
tr Cov(X_0 | X_t = x), and the derivative of f*(t, ·), (a/h) Cov(X_0 | X_t = x). Source: Han,
Razaviyayn, Xu, arXiv 2401.15604.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.ddpm.laws import Gaussian, Mixture, Points
from fineq.errors import InputError
from fineq.fast import blocks
from fineq.ntk.forward import Predictor, Process, alpha, score_of, variance
from fineq.ntk.truncated import NUM_NODES, Truncated, combine, combine_means

Target = Points | Gaussian | Mixture | Truncated
"""A law of X_0 with exact posteriors. Gaussians are unbounded: for closed forms, not for claims."""

_BLOCK = 2**22  # numbers held at once when states are taken in blocks


class Posterior(NamedTuple):
    """X_t at one state x and X_0 given X_t = x.

    Attributes:
        log_density: log p_t(x).
        mean: f*(t, x), `[d]`.
        covariance: Cov(X_0 | X_t = x), `[d, d]`.
    """

    log_density: Array
    mean: Array
    covariance: Array


def posterior(law: Target, a: ArrayLike, h: ArrayLike, x: Array) -> Posterior:
    """Posterior of X_0 given a X_0 + √h Z = x, at one state `[d]`; h > 0.

    For points the weights are a softmax of squared distances, formed from differences x - a p, so
    that nothing overflows or cancels at small h.
    """
    a, h = jnp.asarray(a, x.dtype), jnp.asarray(h, x.dtype)
    if isinstance(law, Points):
        return _of_points(law, a, h, x)
    if isinstance(law, Gaussian):
        return _of_gaussian(law, a, h, x)
    if isinstance(law, Mixture):
        parts = jax.vmap(lambda c: _of_gaussian(c, a, h, x))(law.components)
        log_joint = law.log_weights + parts.log_density
        return _mixed(log_joint, parts.mean, parts.covariance)
    parts = law.components(a, h, x)
    return _mixed(parts.log_joint, parts.mean, jax.vmap(jnp.diag)(parts.variance))


def _mixed(log_joint: Array, means: Array, covariances: Array) -> Posterior:
    return Posterior(jax.nn.logsumexp(log_joint), *combine(log_joint, means, covariances))


def _of_points(law: Points, a: Array, h: Array, x: Array) -> Posterior:
    # `law.noised` takes ᾱ and would lose the digits of h = 1 - ᾱ at small t.
    blurred = Points(a * law.locations, law.log_weights, a * a * law.variance + h)
    log_joint = blurred.log_joint(x)
    center, between = combine_means(log_joint, law.locations)
    # A blurred point moves from its location towards x/a; data themselves have no blur, gain 0.
    gain = a * law.variance / blurred.variance
    mean = center + gain * (x - a * center)
    within = law.variance * h / blurred.variance * jnp.eye(law.d, dtype=mean.dtype)
    return Posterior(jax.nn.logsumexp(log_joint), mean, (1 - a * gain) ** 2 * between + within)


def _of_gaussian(law: Gaussian, a: Array, h: Array, x: Array) -> Posterior:
    U, values = law.eigenvectors, law.eigenvalues
    blurred = Gaussian(a * law.mean, a * a * values + h, U)
    z = (x - a * law.mean) @ U
    mean = law.mean + U @ (a * values / blurred.eigenvalues * z)
    covariance = (U * (values * h / blurred.eigenvalues)[None]) @ U.T
    return Posterior(blurred.log_density(x), mean, covariance)


def width(law: Target) -> int:
    """Numbers that the posterior at one state needs at once."""
    if isinstance(law, Points):
        return law.locations.size
    if isinstance(law, Gaussian):
        return law.d**2
    components = law.log_weights.shape[-1] * law.d
    return components * (NUM_NODES if isinstance(law, Truncated) else law.d)


def in_blocks(law: Target, one: Callable[..., Array], *rows: Array) -> Array:
    """`one` at every row, with as many rows at once as keeps memory bounded."""
    return blocks.in_blocks(jax.vmap(one), max(1, _BLOCK // width(law)), *rows)


def _at(process: Process, law: Target, t: Array, x: Array) -> Posterior:
    return posterior(law, alpha(process, t), variance(process, t), x)


def _checked(law: Target, t: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    """Times `[N]` and states `[N, d]` as arrays; raises `InputError` for anything else."""
    if not isinstance(law, Target):
        raise InputError(f"no posterior is known of a law of type {type(law).__name__}")
    times, states = real_array("times", t, 1), real_array("states", x, 2)
    if states.shape != (times.shape[0], law.d):
        raise InputError(
            f"states must be [N, {law.d}] for the {times.shape[0]} times, got {states.shape}"
        )
    return times, states


def denoise(process: Process, law: Target, t: ArrayLike, x: ArrayLike) -> Array:
    """f*(t, x) at times `[N]` and states `[N, d]`: `[N, d]`.

    Raises `InputError` for other shapes, or a law of unknown posterior.
    """
    return _denoise(process, law, *_checked(law, t, x))


@jax.jit
def _denoise(process: Process, law: Target, t: Array, x: Array) -> Array:
    return in_blocks(law, lambda s, y: _at(process, law, s, y).mean, t, x)


def covariance(process: Process, law: Target, t: ArrayLike, x: ArrayLike) -> Array:
    """Cov(X_0 | X_t = x) at times `[N]` and states `[N, d]`: `[N, d, d]`.

    Raises `InputError` for other shapes, or a law of unknown posterior.
    """
    return _covariance(process, law, *_checked(law, t, x))


@jax.jit
def _covariance(process: Process, law: Target, t: Array, x: Array) -> Array:
    return in_blocks(law, lambda s, y: _at(process, law, s, y).covariance, t, x)


def noise(process: Process, law: Target, t: ArrayLike, x: ArrayLike) -> Array:
    """Label noise per output, tr Cov(X_0 | X_t = x)/d, at `[N]` and `[N, d]`: `[N]`.

    Raises `InputError` for other shapes, or a law of unknown posterior.
    """
    return _noise(process, law, *_checked(law, t, x))


@jax.jit
def _noise(process: Process, law: Target, t: Array, x: Array) -> Array:
    return in_blocks(law, lambda s, y: jnp.trace(_at(process, law, s, y).covariance) / law.d, t, x)


def log_density(process: Process, law: Target, t: ArrayLike, x: ArrayLike) -> Array:
    """Log p_t(x) at times `[N]` and states `[N, d]`: `[N]`.

    Raises `InputError` for other shapes, or a law of unknown posterior.
    """
    return _log_density(process, law, *_checked(law, t, x))


@jax.jit
def _log_density(process: Process, law: Target, t: Array, x: Array) -> Array:
    return in_blocks(law, lambda s, y: _at(process, law, s, y).log_density, t, x)


def score(process: Process, law: Target, t: ArrayLike, x: ArrayLike) -> Array:
    """∇ log p_t(x) = (a/h) f* - x/h at times `[N]` and states `[N, d]`: `[N, d]`.

    Raises `InputError` for other shapes, or a law of unknown posterior.
    """
    t, x = _checked(law, t, x)
    return score_of(process, t, x, _denoise(process, law, t, x))


def predictor(process: Process, law: Target) -> Predictor:
    """f* as a function of times `[N]` and states `[N, d]`."""
    return partial(denoise, process, law)


def slope(process: Process, law: Target, t: ArrayLike, x: ArrayLike) -> Array:
    """Operator norm of the derivative of f*(t, ·), (a/h) λ_max(Cov(X_0 | X_t = x)): `[N]`.

    Its supremum over x is the Lipschitz constant of f*(t, ·) (`ntk/assumptions`).
    Raises `InputError` for other shapes, or a law of unknown posterior.
    """
    return _slope(process, law, *_checked(law, t, x))


@jax.jit
def _slope(process: Process, law: Target, t: Array, x: Array) -> Array:
    largest = jnp.linalg.eigvalsh(covariance(process, law, t, x))[:, -1]
    return alpha(process, t) / variance(process, t) * largest


def slope_bound(process: Process, t: Array, diameter: ArrayLike) -> Array:
    """(a/h) diameter²/4, which no slope exceeds when X_0 lies in a set of that diameter.

    The variance of a number in an interval is at most a quarter of its length squared; two points,
    halfway between them, attain it.
    """
    return alpha(process, t) / variance(process, t) * jnp.asarray(diameter, t.dtype) ** 2 / 4


@partial(jax.jit, static_argnames="num")
def lipschitz(process: Process, law: Target, t: Array, key: Array, num: int) -> Array:
    """Largest slope of f*(t, ·) among 2 `num` states, at each of the times `[K]`: `[K]`.

    A lower bound of the Lipschitz constant. Half of the states are draws of X_t; the others lie
    halfway between a times two draws of X_0, where posteriors of separated data are widest.
    """
    key_pairs, key_noise = jax.random.split(key)
    x0 = law.sample(key_pairs, 2 * num)
    z = jax.random.normal(key_noise, (num, law.d), x0.dtype)

    def at(s: Array) -> Array:
        a, h = alpha(process, s), variance(process, s)
        near, between = a * x0[:num] + jnp.sqrt(h) * z, 0.5 * a * (x0[:num] + x0[num:])
        x = jnp.concatenate([near, between])
        return jnp.max(slope(process, law, jnp.full(x.shape[0], s, x.dtype), x))

    return jax.lax.map(at, t)
