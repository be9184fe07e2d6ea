"""What the theory assumes, measured on one instance (`ntk/assumptions`, arXiv 2401.15604).

Eigenvalues of the Gram matrix; over the diffusion time the noise of the labels, the Lipschitz
constant of f*(t, ·), the mass outside a ball and what cutting it off costs; and the constant by
which the two losses of score matching differ (`ntk/score-identity`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.ddpm.laws import Points
from fineq.keys import key_for
from fineq.ntk import forward, targets
from fineq.ntk.decay import decay_exponent
from fineq.ntk.forward import Process, Times, uniform
from fineq.ntk.instance import Instance
from fineq.ntk.label_noise import has_grid, mass_outside, noise_on_grid, spread
from fineq.ntk.tangent import gram
from fineq.ntk.targets import Target

NUM_DRAWS = 2**14  # of triples, behind the losses
DIAGONAL = 2.0  # of the cube [-1, 1]^d over √d
ROUNDING = 1e-6  # of the ends of the diffusion times


class Eigenvalues(NamedTuple):
    """Eigenvalues of K/N: ends, sum, exponent of the decay, and the largest, falling."""

    smallest: Array
    largest: Array
    trace: Array
    decay: Array
    values: Array


class OverTime(NamedTuple):
    """Of the target at each diffusion time `[K]`; `outside` and `cost` are `[R, K]`.

    Attributes:
        noise: √(E tr Cov(X_0 | X_t)/d).
        signal: √(E |f* - E X_0|²/d).
        lipschitz: largest slope of f*(t, ·) among states.
        bound: what it cannot exceed in the cube.
        outside: P(|X_t| > R).
        cost: E |f*|² 1{|X_t| > R} over E |f*|².
        identity: of `identity_gap`, `[2]`.
    """

    noise: Array
    signal: Array
    lipschitz: Array
    bound: Array
    outside: Array
    cost: Array
    identity: Array


def eigenvalues(z: Array, num: int | None = None) -> Eigenvalues:
    """Of K/N at inputs `[N, D]`, the `num` largest of them or all in `values`.

    Raises:
        InputError: for inputs that are no rows of real numbers.
    """
    values = jnp.linalg.eigvalsh(gram(z) / len(z))[::-1]
    shown = values[: values.shape[0] if num is None else min(num, values.shape[0])]
    return Eigenvalues(values[-1], values[0], jnp.sum(values), decay_exponent(values), shown)


def over_time(
    instance: Instance,
    t: Array,
    num: int,
    radii: ArrayLike,
    times: Times = uniform,
    weights: str = "regression",
) -> OverTime:
    """Measure an instance at diffusion times; NaN at those that it does not learn.

    Args:
        instance: process, law of X_0 and key.
        t: diffusion times `[K]`.
        num: draws at each of them.
        radii: R, `[R]`.
        times: law of t behind the losses.
        weights: name of their weight.
    """
    process, law = instance.process, instance.law
    key_draws = key_for(instance.key, "data over time")
    key_noise = key_for(instance.key, "noise over time")
    key_slopes = key_for(instance.key, "pairs for slopes")
    x0, mean = law.sample(key_draws, num), law.moments()[0]
    beyond = jnp.asarray(radii, t.dtype)[:, None]

    def at(s: Array) -> tuple[Array, ...]:
        same = jnp.full(num, s)
        x = forward.diffuse(process, key_noise, same, x0)
        best = targets.denoise(process, law, same, x)
        noise = jnp.mean(targets.noise(process, law, same, x))
        signal = jnp.mean((best - mean[None]) ** 2)
        size = jnp.sum(best**2, axis=-1)
        outside = jnp.linalg.norm(x, axis=-1)[None] > beyond
        cost = jnp.mean(jnp.where(outside, size[None], 0), axis=-1) / jnp.mean(size)
        return jnp.sqrt(noise), jnp.sqrt(signal), jnp.mean(outside, axis=-1), cost

    noise, signal, outside, cost = jax.lax.map(at, t)
    steepest = targets.lipschitz(process, law, t, key_slopes, num // 2)
    bound = targets.slope_bound(process, t, DIAGONAL * np.sqrt(law.d))
    # The ends are among the times up to rounding.
    learned = (t >= process.T0 * (1 - ROUNDING)) & (t <= process.T * (1 + ROUNDING))
    every = (noise, signal, steepest, bound, outside.T, cost.T)
    shown = [jnp.where(learned, x, jnp.nan) for x in every]
    return OverTime(*shown, identity=identity_gap(instance, times, weights))


def identity_gap(
    instance: Instance, times: Times = uniform, weights: str = "regression", num: int = NUM_DRAWS
) -> Array:
    """`ntk/score-identity` by draws, for the predictor f(t, x) = a x: `[2]`.

    Denoising less explicit loss over the constant between them, less 1, which has mean 0, and the
    variance of this mean over `num` draws.
    """
    process, law = instance.process, instance.law
    key = key_for(instance.key, "points to compare losses at")
    data = forward.triples(process, law, key, num, times)
    truth = targets.predictor(process, law)

    def linear(t: Array, x: Array) -> Array:
        return forward.alpha(process, t)[:, None] * x

    found = forward.losses(process, linear, truth, data, weights)
    whole = jnp.mean(found.noise)
    # A single point has no noise, and the losses are equal.
    apart = (found.denoising - found.explicit - found.noise) / jnp.where(whole > 0, whole, 1.0)
    return jnp.stack([jnp.mean(apart), jnp.var(apart) / apart.size])


def exact_over_time(
    process: Process, law: Target, t: Array, radii: Sequence[float]
) -> dict[str, np.ndarray]:
    """What of `OverTime` is known without draws, at the times `[K]`.

    Noise and signal by quadrature for bounded laws in one and two dimensions; the mass outside
    balls, `[R, K]`, for points. On concrete numbers.
    """
    found: dict[str, np.ndarray] = {}
    if has_grid(process, law, t[:1]):
        noise = np.asarray(noise_on_grid(process, law, t).noise)
        signal = np.maximum(float(spread(law)) - noise, 0)
        found |= {"noise": np.sqrt(noise), "signal": np.sqrt(signal)}
    if isinstance(law, Points) and float(law.variance) == 0:
        masses = [mass_outside(process, law, t, float(radius)) for radius in radii]
        found["outside"] = np.stack(masses)
    return found
