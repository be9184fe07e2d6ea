"""Noise schedules of a denoising diffusion model, and the one place where its two clocks meet.

Forward steps k = 1..T add noise, X_k = √α_k X_{k-1} + √b_k Z with b_k = 1 - α_k, so that X_k given
X_0 is N(√ᾱ_k X_0, (1 - ᾱ_k) I) with ᾱ_k = α_1 ... α_k. Generation runs the other way: Y_t has the
noise level of X_{T-t}, Y_0 is noise, Y_T is data, and the step from Y_t to Y_{t+1} undoes forward
step k = T - t. A `Schedule` is in generation order; builders take α_1..α_T in forward order.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Literal, NamedTuple

import chex
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError

Variance = Literal["posterior", "forward"]


class Schedule(NamedTuple):
    """A schedule in generation order.

    Attributes:
        alphas: `[T]`, α of the forward step that generation step t undoes.
        alpha_bars: `[T + 1]`, ᾱ at the noise level of Y_t; the last is 1, the data.
        sigmas: `[T]`, standard deviation σ_t of the noise that generation step t adds.
    """

    alphas: Array
    alpha_bars: Array
    sigmas: Array

    @property
    def num_steps(self) -> int:
        """T."""
        return self.alphas.shape[-1]


def make_schedule(
    alphas: ArrayLike, variance: Variance = "posterior", *, floor: ArrayLike | None = None
) -> Schedule:
    """Build a schedule from α_1..α_T in forward order.

    Args:
        alphas: `[T]`, each in (0, 1).
        variance: of generation steps, `forward`: σ² = b_k; `posterior`: the variance
            b_k (1 - ᾱ_{k-1})/(1 - ᾱ_k) of X_{k-1} given X_k and X_0, which is 0 at k = 1.
        floor: σ² at k = 1 under `posterior`; None: its value at k = 2 (b_1 where T = 1).

    Raises:
        InputError: for α outside (0, 1), no steps, or a floor that is not positive.
    """
    a = real_array("alphas", alphas).astype(float)
    if a.ndim != 1 or not a.size:
        raise InputError(f"alphas must be a non-empty list, got shape {a.shape}")
    bars = jnp.concatenate([jnp.ones(1, a.dtype), jnp.cumprod(a)])
    if not isinstance(a, Tracer):
        _check(np.asarray(a), np.asarray(bars))
    variances = _variances(a, bars, variance, floor)
    return Schedule(a[::-1], bars[::-1], jnp.sqrt(variances)[::-1])


def _check(a: np.ndarray, bars: np.ndarray) -> None:
    bad = np.flatnonzero(~((a > 0) & (a < 1)))
    if bad.size:
        raise InputError(f"alphas must lie in (0, 1), but α of step {bad[0] + 1} is {a[bad[0]]:g}")
    if bars[-1] <= 0:
        raise InputError("alphas: their product is 0 to rounding; take fewer steps")


def _variances(a: Array, bars: Array, kind: Variance, floor: ArrayLike | None) -> Array:
    chex.assert_shape([a, bars], [(None,), (a.size + 1,)])
    if kind == "forward":
        return 1 - a
    if kind != "posterior":
        raise InputError(f"variance must be one of posterior, forward, got {kind}")
    if floor is not None and not isinstance(floor, Tracer) and not np.all(np.asarray(floor) > 0):
        raise InputError(f"floor must be above 0, got {floor}")
    posterior = (1 - a) * (1 - bars[:-1]) / (1 - bars[1:])
    default = posterior[1] if a.size > 1 else 1 - a[0]
    return posterior.at[0].set(default if floor is None else floor)


def _count(num_steps: int) -> int:
    if not isinstance(num_steps, Integral) or num_steps < 1:
        raise InputError(f"num_steps must be a whole number, at least 1, got {num_steps!r}")
    return int(num_steps)


def linear(num_steps: int, first: ArrayLike = 1e-4, last: ArrayLike = 0.02) -> Array:
    """α_1..α_T whose b_k run linearly from `first` to `last` (Ho, Jain and Abbeel 2020)."""
    return 1 - jnp.linspace(first, last, _count(num_steps))


def cosine(num_steps: int, offset: ArrayLike = 0.008, largest: ArrayLike = 0.999) -> Array:
    """α_1..α_T with ᾱ(s) ∝ cos²(π/2 (s + offset)/(1 + offset)), b_k at most `largest`.

    Source: Nichol and Dhariwal 2021.
    """
    s = jnp.linspace(0.0, 1.0, _count(num_steps) + 1)
    level = jnp.cos(jnp.pi / 2 * (s + offset) / (1 + offset)) ** 2
    return jnp.maximum(level[1:] / level[:-1], 1 - largest)


def constant_rate(num_steps: int, end: ArrayLike) -> Array:
    """Equal α_1..α_T with ᾱ_T = `end`: a variance-preserving process at constant rate."""
    return jnp.full(_count(num_steps), jnp.asarray(end, float) ** (1 / num_steps))


def linear_rate(num_steps: int, first: float | Array = 0.1, last: float | Array = 20.0) -> Array:
    """α_k = exp(-∫ g) over the k-th of T equal parts of [0, 1], g linear from `first` to `last`.

    The variance-preserving process of Song et al. 2021, whose ᾱ_T does not depend on T.
    """
    s = jnp.linspace(0.0, 1.0, _count(num_steps) + 1)
    integral = first * s + (last - first) * s**2 / 2
    return jnp.exp(-jnp.diff(integral))


def rates(schedule: Schedule) -> Array:
    """∫g over each generation step, -log α_t, `[T]`: the step sizes of the limiting SDE."""
    return -jnp.log(schedule.alphas)


def from_list(values: Sequence[float]) -> Array:
    """α_1..α_T as given."""
    return real_array("alphas", values, 1).astype(float)
