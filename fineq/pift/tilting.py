"""Gaussian mixtures tilted by e^{r/β}: the continuous-time optimum in closed form, any dimension.

Fine-tuning the variance-preserving process dY = (½ g Y + g u) dt + √g dB at price β has the value
V_t(y) = β log E[e^{r(Y_T)/β} | Y_t = y] under the pre-trained process u = s, and the optimal
control u* = s + ∇V/β. For data from a Gaussian mixture, the law of Y_T given Y_t = y is again one,
and so is its tilt by a linear or quadratic reward: with r(x) = ½ x'Px + p'x + c a component N(μ, Σ)
becomes

    N(Λ^{-1} h, Λ^{-1}),   Λ = Σ^{-1} - P/β,   h = Σ^{-1} μ + p/β,

and its weight is multiplied by e^{c/β + ½ h'Λ^{-1}h - ½ μ'Σ^{-1}μ} / √det(ΣΛ), finite where Λ is
positive definite. Source: arXiv 2412.18164 (`pift/continuous-time`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array, shaped
from fineq.ddpm.laws import Gaussian, Mixture
from fineq.errors import InputError
from fineq.pift.rewards import Quadratic


class Tilted(NamedTuple):
    """A tilted law; NaN throughout where it does not exist.

    Attributes:
        law: p e^{r/β} normalised.
        log_mass: log E_p e^{r/β}, infinite where the tilt is not integrable.
        threshold: the β above which the tilt is integrable, at least 0.
        direction: `[d]`, along which r/β outgrows -log p most.
        well_posed: β > threshold.
    """

    law: Mixture
    log_mass: Array
    threshold: Array
    direction: Array
    well_posed: Array


def as_mixture(law: Gaussian | Mixture) -> Mixture:
    """A Gaussian as the mixture of one component; raises `InputError` for another kind of law."""
    if isinstance(law, Mixture):
        return law
    if not isinstance(law, Gaussian):
        raise InputError(
            f"tilts are known of Gaussians and Gaussian mixtures, got {type(law).__name__}"
        )
    return Mixture(jnp.zeros(1, law.mean.dtype), jax.tree.map(lambda x: x[None], law))


def checked_reward(reward: Quadratic, d: int) -> Quadratic:
    """The reward; raises `InputError` unless it is linear or quadratic in d dimensions."""
    if not isinstance(reward, Quadratic):
        raise InputError(
            f"tilts are known of linear and quadratic rewards, got {type(reward).__name__}"
        )
    shaped("the reward's p", reward.p, (d,))
    return reward._replace(P=shaped("the reward's P", reward.P, (d, d)))


def tilt(law: Gaussian | Mixture, reward: Quadratic, beta: ArrayLike) -> Tilted:
    """The law proportional to p e^{r/β} for a linear or quadratic reward.

    Raises:
        InputError: for a law that is no Gaussian or mixture of them, another reward, one of another
            dimension, or a β that is not one number.
    """
    law = as_mixture(law)
    reward = checked_reward(reward, law.d)
    beta = real_array("beta", beta, 0).astype(law.log_weights.dtype)

    def component(c: Gaussian) -> tuple[Gaussian, Array, Array, Array]:
        # Λ = L'^{-1} (I - L'PL/β) L^{-1} with LL' = Σ: one eigenproblem tells all.
        L = c.eigenvectors * jnp.sqrt(c.eigenvalues)[None]
        curvature, vectors = jnp.linalg.eigh(L.T @ reward.P @ L)
        left = 1 - curvature / beta
        V = L @ vectors
        # x - μ = V z: r = r(μ) + g'z + ½ z' diag(curvature) z.
        g = V.T @ (reward.P @ c.mean + reward.p) / beta
        mean = c.mean + V @ (g / left)
        covariance = (V / left[None]) @ V.T
        values, axes = jnp.linalg.eigh(covariance)
        log_mass = reward(c.mean) / beta + 0.5 * jnp.sum(g * g / left - jnp.log(left))
        return Gaussian(mean, values, axes), log_mass, curvature[-1], V[:, -1]

    components, masses, highest, directions = jax.vmap(component)(law.components)
    worst = jnp.argmax(highest)
    threshold = jnp.maximum(highest[worst], 0.0)
    well_posed = beta > threshold
    log_joint = law.log_weights + masses
    log_mass = jax.nn.logsumexp(log_joint)
    tilted = Mixture(log_joint - log_mass, components)
    tilted = jax.tree.map(lambda x: jnp.where(well_posed, x, jnp.nan), tilted)
    direction = directions[worst]
    return Tilted(
        tilted,
        jnp.where(well_posed, log_mass, jnp.inf),
        threshold,
        direction / jnp.linalg.norm(direction),
        well_posed,
    )


def posterior(law: Gaussian | Mixture, alpha_bar: ArrayLike, y: Array) -> Mixture:
    """The law of Y_T given Y_t = y `[d]`, for data from `law` at noise level ᾱ of Y_t in (0, 1).

    Raises:
        InputError: for another kind of law, a point of another shape, or a level that is not one
            number.
    """
    law, bar = as_mixture(law), real_array("alpha_bar", alpha_bar, 0)
    y = shaped("y", y, (law.d,))

    def component(c: Gaussian) -> Gaussian:
        left = bar * c.eigenvalues + (1 - bar)
        gain = jnp.sqrt(bar) * c.eigenvalues / left
        z = c.eigenvectors.T @ (y - jnp.sqrt(bar) * c.mean)
        values = c.eigenvalues * (1 - bar) / left
        return Gaussian(c.mean + c.eigenvectors @ (gain * z), values, c.eigenvectors)

    weights = jax.nn.log_softmax(law.noised(bar).log_joint(y))
    return Mixture(weights, jax.vmap(component)(law.components))


def value(
    law: Gaussian | Mixture, reward: Quadratic, beta: ArrayLike, alpha_bar: ArrayLike, y: Array
) -> Array:
    """V_t(y) at a point y `[d]` of noise level ᾱ in [0, 1); infinite where not well posed."""
    return jnp.asarray(beta) * tilt(posterior(law, alpha_bar, y), reward, beta).log_mass


def control(
    law: Gaussian | Mixture, reward: Quadratic, beta: ArrayLike, alpha_bar: ArrayLike, y: Array
) -> Array:
    """u*_t(y) = s_t(y) + ∇V_t(y)/β at a point y `[d]` of noise level ᾱ in (0, 1).

    Noising commutes with tilting by the value: u* is √ᾱ E*[Y_T | y]/(1 - ᾱ) - y/(1 - ᾱ), Tweedie's
    formula for the tilted posterior, and needs no derivative.
    """
    bar = jnp.asarray(alpha_bar)
    mean = tilt(posterior(law, bar, y), reward, beta).law.moments()[0]
    return (jnp.sqrt(bar) * mean - y) / (1 - bar)


def threshold(law: Gaussian | Mixture, reward: Quadratic, alpha_bar: ArrayLike) -> Array:
    """The β above which V is finite from noise level ᾱ in [0, 1) on.

    It is the largest eigenvalue of Cov(Y_T | Y_t, component) times the curvature P of the reward,
    the same at every y, and at least 0.
    """
    law = as_mixture(law)
    return tilt(posterior(law, alpha_bar, jnp.zeros(law.d)), reward, 1.0).threshold


class Affine(NamedTuple):
    """A Gaussian law of Y_T given Y_0 = y: N(M y + m, C)."""

    M: Array
    m: Array
    C: Array

    def marginal(self, start: Gaussian) -> tuple[Array, Array]:
        """Mean and covariance of Y_T for Y_0 of a Gaussian law."""
        mean, covariance = start.moments()
        return self.M @ mean + self.m, self.M @ covariance @ self.M.T + self.C


def bridge(law: Gaussian, alpha_bar: ArrayLike) -> Affine:
    """Y_T given Y_0 for Gaussian data and noise level ᾱ in [0, 1) of Y_0."""
    bar = jnp.asarray(alpha_bar)
    left = bar * law.eigenvalues + (1 - bar)
    U = law.eigenvectors
    M = (U * (jnp.sqrt(bar) * law.eigenvalues / left)[None]) @ U.T
    C = (U * (law.eigenvalues * (1 - bar) / left)[None]) @ U.T
    return Affine(M, law.mean - jnp.sqrt(bar) * M @ law.mean, C)


def tilt_bridge(bridge: Affine, reward: Quadratic, beta: ArrayLike) -> tuple[Affine, Quadratic]:
    """Tilt Y_T given Y_0 = y by e^{r/β} for every y at once.

    Returns:
        The tilted law of Y_T given Y_0, and V_0(y) = β log E[e^{r/β} | Y_0 = y]; NaN where not well
        posed. Any affine Gaussian chain has such a bridge, `chain_bridge`.

    Raises:
        InputError: for another reward, or one of another dimension.
    """
    M, m, C = bridge
    reward = checked_reward(reward, m.shape[-1])
    values, vectors = jnp.linalg.eigh(C)
    L = vectors * jnp.sqrt(values)[None]
    curvature, axes = jnp.linalg.eigh(L.T @ reward.P @ L)
    V, left = L @ axes, beta - curvature
    G = (V / left[None]) @ V.T
    P = reward.P + reward.P @ G @ reward.P
    p = reward.p + reward.P @ G @ reward.p
    c = reward.c + 0.5 * reward.p @ G @ reward.p - 0.5 * beta * jnp.sum(jnp.log(left / beta))
    smoothed = Quadratic(P, p, c)
    start = Quadratic(M.T @ P @ M, M.T @ (P @ m + p), smoothed(m))
    tilted = Affine(M + G @ reward.P @ M, m + G @ (reward.P @ m + reward.p), beta * G)
    well_posed = jnp.all(left > 0)
    return jax.tree.map(lambda x: jnp.where(well_posed, x, jnp.nan), (tilted, start))


def chain_bridge(A: Array, b: Array, covariances: Array) -> Affine:
    """Y_T given Y_0 of a chain Y_{t+1} = A_t Y_t + b_t + noise of covariance S_t.

    Args:
        A: `[T, d, d]`.
        b: `[T, d]`.
        covariances: S, `[T, d, d]`.

    Raises:
        InputError: for shapes that do not fit.
    """
    b = real_array("b", b, 2)
    T, d = b.shape
    A, covariances = shaped("A", A, (T, d, d)), shaped("covariances", covariances, (T, d, d))

    def step(now: Affine, inputs: tuple[Array, Array, Array]) -> tuple[Affine, None]:
        A, b, S = inputs
        return Affine(A @ now.M, A @ now.m + b, A @ now.C @ A.T + S), None

    zero = jnp.zeros((d, d), A.dtype)
    first = Affine(jnp.eye(d, dtype=A.dtype), zero[0], zero)
    return jax.lax.scan(step, first, (A, b, covariances))[0]
