"""Mixtures of Gaussians, or of flat densities, restricted to boxes, and their exact posteriors.

Component k has the density proportional to exp(-½ Σ_i p_ki (y_i - m_ki)²) on the box
low_k <= y <= high_k: a truncated Gaussian with independent coordinates, flat where p = 0. Given
X_t = a X_0 + √h Z = x, coordinate i of component k is again a truncated normal, with precision
p + a²/h, so that E[X_0 | X_t = x] is a mixture of products of truncated-normal moments.

Those moments are computed by Gauss-Legendre quadrature on the part of the interval that holds the
mass, to rounding: differences of normal distribution functions, which the textbook formula divides
by one another, cancel in the tails and on intervals short against the deviation.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.ddpm.laws import check_weights
from fineq.errors import InputError

NUM_NODES = 40  # a normal density on ±9 deviations is integrated to 1e-13
_DROP = 40.0  # mass beyond e^-40 of the density's maximum is left out


class Truncated(NamedTuple):
    """A mixture on boxes; make it with `truncated_mixture` or `box_mixture`.

    Attributes:
        log_weights: `[M]`, of probabilities that sum to 1, of the truncated components.
        log_masses: `[M]`, logs of the integrals of exp(-½ Σ p (y - m)²) over the boxes.
        means: m `[M, d]`, before truncation.
        precisions: p `[M, d]`, at least 0.
        low: `[M, d]`.
        high: `[M, d]`.
    """

    log_weights: Array
    log_masses: Array
    means: Array
    precisions: Array
    low: Array
    high: Array

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.means.shape[-1]

    @partial(jax.jit, static_argnames="num")
    def sample(self, key: Array, num: int) -> Array:
        """Independent draws `[num, d]`."""
        key_which, key_normal, key_flat = jax.random.split(key, 3)
        k = jax.random.categorical(key_which, self.log_weights, shape=(num,))
        m, p, low, high = (x[k] for x in (self.means, self.precisions, self.low, self.high))
        root = jnp.sqrt(jnp.where(p > 0, p, 1.0))
        z = jax.random.truncated_normal(
            key_normal, (low - m) * root, (high - m) * root, m.shape, m.dtype
        )
        u = jax.random.uniform(key_flat, m.shape, m.dtype)
        return jnp.clip(jnp.where(p > 0, m + z / root, low + u * (high - low)), low, high)

    def components(self, a: ArrayLike, h: ArrayLike, x: Array) -> "Components":
        """Weights and moments of X_0 given X_t = x `[d]` in each component."""
        a, h = jnp.asarray(a, x.dtype), jnp.asarray(h, x.dtype)
        integrals = _moments(self, a, h, x)
        log_joint = self.log_weights - self.log_masses + jnp.sum(integrals.log_mass, -1)
        normaliser = 0.5 * self.d * jnp.log(2 * jnp.pi * h)
        return Components(log_joint - normaliser, integrals.mean, integrals.variance)

    @jax.jit
    def moments(self) -> tuple[Array, Array]:
        """Mean `[d]` and covariance `[d, d]` of X_0."""
        zero = jnp.zeros(self.d, self.means.dtype)
        within = self.components(0.0, 1.0, zero)
        return combine(self.log_weights, within.mean, jax.vmap(jnp.diag)(within.variance))


class Components(NamedTuple):
    """X_0 given X_t = x, component by component.

    Attributes:
        log_joint: `[M]`, log of weight times density of X_t at x.
        mean: `[M, d]`.
        variance: `[M, d]`; coordinates are independent within a component.
    """

    log_joint: Array
    mean: Array
    variance: Array


class _Integrals(NamedTuple):
    log_mass: Array
    mean: Array
    variance: Array


def combine_means(log_weights: Array, means: Array) -> tuple[Array, Array]:
    """Mean `[d]` of a mixture and the covariance `[d, d]` of its component means `[M, d]`."""
    weights = jax.nn.softmax(log_weights)
    mean = weights @ means
    apart = means - mean[None]
    return mean, (weights[:, None] * apart).T @ apart


def combine(log_weights: Array, means: Array, covariances: Array) -> tuple[Array, Array]:
    """Mean `[d]` and covariance `[d, d]` of a mixture, from `[M]`, `[M, d]`, `[M, d, d]`."""
    mean, between = combine_means(log_weights, means)
    return mean, between + jnp.einsum("m,mij->ij", jax.nn.softmax(log_weights), covariances)


def _moments(law: Truncated, a: Array, h: Array, x: Array) -> _Integrals:
    """Log mass, mean, variance `[M, d]` of exp(-½ p (y - m)² - (x - a y)²/(2h)) on the boxes."""
    p, m = law.precisions, law.means
    P = p + a * a / h
    safe = jnp.maximum(P, 1e-3)  # flatter than this, the whole interval counts
    peak = (p * m + a / h * x[None]) / safe
    # The rule's nodes are constants: derivatives are those of the integrand, taken under the sum.
    center = lax.stop_gradient(jnp.clip(peak, law.low, law.high))
    scale = lax.stop_gradient(safe)
    beyond = jnp.abs(center - lax.stop_gradient(peak))
    # The integrand falls by e^-DROP within this distance of its maximum on the interval.
    reach = 2 * _DROP / scale / (beyond + jnp.sqrt(beyond**2 + 2 * _DROP / scale))
    low, high = jnp.maximum(law.low, center - reach), jnp.minimum(law.high, center + reach)
    nodes, weights = (jnp.asarray(v, x.dtype) for v in np.polynomial.legendre.leggauss(NUM_NODES))
    half = 0.5 * (high - low)[..., None]
    s = (0.5 * (low + high) - center)[..., None] + half * nodes[None, None]
    # Exponent relative to the center: s times its slope there, and half the curvature.
    slope = p * (m - center) + a / h * (x[None] - a * center)
    exponent = s * (slope[..., None] - 0.5 * P[..., None] * s)
    top = lax.stop_gradient(jnp.max(exponent, axis=-1, keepdims=True))
    density = weights[None, None] * half * jnp.exp(exponent - top)
    mass = jnp.sum(density, axis=-1)
    share = density / mass[..., None]
    offset = jnp.sum(share * s, axis=-1)
    spread = jnp.sum(share * (s - offset[..., None]) ** 2, axis=-1)
    at_center = -0.5 * p * (center - m) ** 2 - (x[None] - a * center) ** 2 / (2 * h)
    return _Integrals(at_center + top[..., 0] + jnp.log(mass), center + offset, spread)


def truncated_mixture(
    weights: ArrayLike, means: ArrayLike, deviations: ArrayLike, bound: float = 1.0
) -> Truncated:
    """Σ_k weights_k N(means_k, diag(deviations_k²)), conditioned on the cube [-bound, bound]^d.

    A component whose mass lies partly outside loses that part, so the weights of the result are
    those given times the masses inside, normalised. Works under `jit` and `vmap`.

    Args:
        weights: `[M]`, of the mixture before truncation.
        means: `[M, d]`, in the cube.
        deviations: `[M]` or `[M, d]`, standard deviations before truncation.
        bound: half the side of the cube.

    Raises:
        InputError: on concrete numbers, for shapes that disagree, means outside the cube,
            deviations that are not positive, or weights that are not positive or do not sum to 1.
    """
    weights, means, deviations = (jnp.asarray(v, float) for v in (weights, means, deviations))
    _check_rows("means", weights, means)
    deviations = deviations[:, None] if deviations.ndim == 1 else deviations
    if deviations.shape not in (means.shape, (means.shape[0], 1)):
        raise InputError(
            f"deviations has shape {deviations.shape}, but means has shape "
            f"{means.shape}: there must be one deviation per component, or per coordinate of each"
        )
    if not isinstance(means, Tracer) and not np.all(np.abs(means) <= bound):
        raise InputError(
            f"means must lie in [-{bound:g}, {bound:g}]^d, got one of size "
            f"{float(np.max(np.abs(means))):g}"
        )
    if not isinstance(deviations, Tracer) and not np.all(
        np.isfinite(deviations) & (np.asarray(deviations) > 0)
    ):
        raise InputError(f"deviations must be above 0, got {float(np.min(deviations)):g}")
    precisions = jnp.broadcast_to(deviations**-2.0, means.shape)
    edge = jnp.full_like(means, bound)
    law = _with_masses(jnp.log(weights), means, precisions, -edge, edge)
    inside = law.log_masses + jnp.sum(0.5 * jnp.log(precisions / (2 * jnp.pi)), axis=-1)
    return law._replace(log_weights=jax.nn.log_softmax(law.log_weights + inside))


def box_mixture(weights: ArrayLike, low: ArrayLike, high: ArrayLike) -> Truncated:
    """Σ_k weights_k Uniform(low_k, high_k): `[M]`, `[M, d]`, `[M, d]`. Works under `jit`, `vmap`.

    Raises:
        InputError: on concrete numbers, for shapes that disagree, empty boxes, or weights that are
            not positive or do not sum to 1.
    """
    weights, low, high = (jnp.asarray(v, float) for v in (weights, low, high))
    _check_rows("low", weights, low)
    if high.shape != low.shape:
        raise InputError(f"high has shape {high.shape}, but low has shape {low.shape}")
    concrete = not isinstance(low, Tracer) and not isinstance(high, Tracer)
    if concrete and not np.all(np.asarray(low) < np.asarray(high)):
        raise InputError("low must be below high in every coordinate of every box")
    return _with_masses(jnp.log(weights), 0.5 * (low + high), jnp.zeros_like(low), low, high)


@jax.jit
def _with_masses(
    log_weights: Array, means: Array, precisions: Array, low: Array, high: Array
) -> Truncated:
    law = Truncated(log_weights, jnp.zeros_like(log_weights), means, precisions, low, high)
    zero, one = jnp.zeros((), means.dtype), jnp.ones((), means.dtype)
    integrals = _moments(law, zero, one, jnp.zeros(law.d, means.dtype))
    return law._replace(log_masses=jnp.sum(integrals.log_mass, axis=-1))


def _check_rows(name: str, weights: Array, rows: Array) -> None:
    if rows.ndim != 2 or not rows.size or weights.shape != rows.shape[:1]:
        raise InputError(
            f"{name} must have shape [M, d] with one weight per row, got {rows.shape} and weights "
            f"of shape {weights.shape}"
        )
    if not isinstance(rows, Tracer) and not np.all(np.isfinite(rows)):
        raise InputError(f"{name} must be finite")
    check_weights("weights", weights)
