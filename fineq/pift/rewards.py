"""Rewards: pytrees that map one point `[d]` to a scalar, whose numbers can be swept and batched."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.ddpm.laws import Law
from fineq.errors import InputError
from fineq.traced import check_values, traced


class Quadratic(NamedTuple):
    """r(y) = ½ y'Py + p'y + c, with symmetric P `[d, d]`, p `[d]`, c a scalar."""

    P: Array
    p: Array
    c: Array

    def __call__(self, y: Array) -> Array:
        """r(y)."""
        return 0.5 * y @ self.P @ y + self.p @ y + self.c


def linear(p: ArrayLike) -> Quadratic:
    """r(y) = p'y for p `[d]`; raises `InputError` for anything else."""
    p = real_array("p", p, 1)
    return Quadratic(jnp.zeros((p.size, p.size), p.dtype), p, jnp.zeros((), p.dtype))


def quadratic(P: ArrayLike, center: ArrayLike | None = None) -> Quadratic:
    """r(y) = ½ (y - center)'P(y - center), P `[d, d]`, center `[d]` (0 unless given).

    Of P the symmetric part counts. Raises `InputError` for arrays that are no real numbers or do
    not fit.
    """
    P = real_array("P", P, 2)
    if P.shape[0] != P.shape[1] or P.shape[0] == 0:
        raise InputError(f"P must be a square matrix of at least one row, got shape {P.shape}")
    P = (P + jnp.swapaxes(P, -1, -2)) / 2
    m = jnp.zeros(len(P)) if center is None else real_array("center", center, 1)
    if m.shape != P.shape[:1]:
        raise InputError(f"center must have shape {P.shape[:1]}, got {m.shape}")
    m = m.astype(P.dtype)
    return Quadratic(P, -P @ m, 0.5 * m @ P @ m)


class RunningQuadratic(NamedTuple):
    """f_t(y) = ½ y'P_t y + p_t'y + c_t: P `[T, d, d]`, p `[T, d]`, c `[T]`."""

    P: Array
    p: Array
    c: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """f_t(y)."""
        return Quadratic(self.P[t], self.p[t], self.c[t])(y)


class Wave(NamedTuple):
    """r(y) = height · (tanh(2 w·(y - shift)) + ripple · sin(2 w·y)): bounded, smooth, non-convex.

    Attributes:
        direction: w `[d]`.
        height, shift, ripple: scalars; the shift is along w.
    """

    direction: Array
    height: Array
    shift: Array
    ripple: Array

    def __call__(self, y: Array) -> Array:
        """r(y)."""
        s = self.direction @ y
        return self.height * (jnp.tanh(2 * (s - self.shift)) + self.ripple * jnp.sin(2 * s))


class LogRatio(NamedTuple):
    """r(y) = scale · log(p(y)/q(y)) for two laws: fine-tuning from q towards p."""

    target: Law
    base: Law
    scale: Array

    def __call__(self, y: Array) -> Array:
        """r(y)."""
        return self.scale * (self.target.log_density(y) - self.base.log_density(y))


@partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=["function"])
@dataclass(frozen=True)
class Custom:
    """r(y) = scale · function(y), a user's function of one point."""

    function: Callable[[Array], Array]
    scale: ArrayLike = 1.0

    def __call__(self, y: Array) -> Array:
        """r(y)."""
        return jnp.asarray(self.scale) * self.function(y)


def check_reward(reward: Callable[[Array], Array], points: Array, name: str = "reward") -> None:
    """Raise `InputError` unless a reward is fit for JAX, finite and of finite gradient at points.

    Args:
        reward: of one point `[d]`.
        points: where it is tried, `[S, d]`.
        name: of the field, for the message.
    """
    d = points.shape[-1]
    function = reward.function if isinstance(reward, Custom) else reward
    shape = traced(name, function, jax.ShapeDtypeStruct((d,), points.dtype)).shape
    if shape != ():
        raise InputError(
            f"{name} must return a scalar for a point of shape ({d},), got shape {shape}"
        )
    check_values(name, reward, points)
