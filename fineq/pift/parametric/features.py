"""Features of a state at a time, pytrees `(t, y) -> [K]`, in coordinates standardised at each t."""

import itertools
import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.pift.parametric.paths import Zero, simulate
from fineq.pift.problem import Problem

SCALE_PATHS = 512


class Scale(NamedTuple):
    """z = (y - center_t)/size_t: center, size `[T, d]`."""

    center: Array
    size: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The standardised point, `[d]`."""
        return (y - self.center[t]) / self.size[t]


class Features(Protocol):
    """A feature map: a pytree, `(t, y) -> [K]` for one point y `[d]`, or one row for each
    coordinate of the control, `[d, K]`.
    """

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """φ_t(y)."""
        ...


@partial(jax.tree_util.register_dataclass, data_fields=["scale"], meta_fields=["exponents"])
@dataclass(frozen=True)
class Polynomial:
    """All monomials of the standardised state up to a degree; make it with `polynomial`."""

    scale: Scale
    exponents: tuple[tuple[int, ...], ...]

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """φ_t(y), `[K]`, by degree: 1, z_1, ..., z_d, z_1², ..."""
        z = self.scale(t, y)
        exponents = np.array(self.exponents)
        powers = [jnp.ones_like(z)]
        for _ in range(exponents.max()):
            powers.append(powers[-1] * z)
        table = jnp.stack(powers)
        return jnp.prod(table[exponents, np.arange(z.shape[0])[None]], axis=-1)


class Fourier(NamedTuple):
    """1, z, and √(2/K) cos(w_k·z + b_k): random Fourier features beside an affine part.

    Attributes:
        scale: of the state.
        frequencies: w, `[K, d]`.
        phases: b, `[K]`.
    """

    scale: Scale
    frequencies: Array
    phases: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """φ_t(y), `[1 + d + K]`."""
        z = self.scale(t, y)
        waves = jnp.cos(self.frequencies @ z + self.phases)
        return _with_affine(z, waves * math.sqrt(2 / self.phases.shape[0]))


class Radial(NamedTuple):
    """1, z, and exp(-|z - z_k|²/(2 width²)): Gaussian radial functions beside an affine part.

    Attributes:
        scale: of the state.
        centers: z_k, `[K, d]`.
        width: a scalar.
    """

    scale: Scale
    centers: Array
    width: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """φ_t(y), `[1 + d + K]`."""
        z = self.scale(t, y)
        squares = jnp.sum((z[None] - self.centers) ** 2, axis=-1)
        return _with_affine(z, jnp.exp(-squares / (2 * self.width**2)))


class Separate(NamedTuple):
    """1, z_i, and exp(-(z_i - c_k)²/(2 width²)), for each coordinate i apart.

    The control of a coordinate is then a function of this coordinate alone: fewer coefficients, and
    no loss where coordinates do not interact.

    Attributes:
        scale: of the state.
        centers: c_k, `[K]`.
        width: a scalar.
    """

    scale: Scale
    centers: Array
    width: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """φ_t(y), `[d, 2 + K]`."""
        z = self.scale(t, y)[:, None]
        bumps = jnp.exp(-((z - self.centers[None]) ** 2) / (2 * self.width**2))
        return jnp.concatenate([jnp.ones_like(z), z, bumps], axis=1)


def _with_affine(z: Array, rest: Array) -> Array:
    return jnp.concatenate([jnp.ones(1, z.dtype), z, rest])


def standard_scale(key: Array, problem: Problem, num_paths: int = SCALE_PATHS) -> Scale:
    """Mean and standard deviation of each coordinate of Y_0..Y_{T-1} of the pre-trained chain.

    A coordinate that does not vary (a fixed start) keeps its unit.
    """
    states = simulate(key, problem, Zero(), num_paths).states[:-1]
    size = jnp.std(states, axis=1)
    largest = jnp.max(jnp.abs(states), axis=1)
    fixed = size <= 10 * jnp.finfo(size.dtype).eps * largest
    return Scale(jnp.mean(states, axis=1), jnp.where(fixed, 1.0, size))


def polynomial(scale: Scale, degree: int) -> Polynomial:
    """Monomials up to `degree`.

    Raises:
        InputError: for a scale that is none, or a degree below 0.
    """
    _check_scale(scale)
    if degree < 0:
        raise InputError(f"degree must be at least 0, got {degree}")
    d = scale.center.shape[-1]
    chosen = [
        c for k in range(degree + 1) for c in itertools.combinations_with_replacement(range(d), k)
    ]
    return Polynomial(scale, tuple(tuple(c.count(j) for j in range(d)) for c in chosen))


def fourier(key: Array, scale: Scale, num: int, bandwidth: float = 1.0) -> Fourier:
    """`num` random Fourier features of the Gaussian kernel with this bandwidth.

    Raises:
        InputError: for a scale that is none, no features or a bandwidth that is not positive.
    """
    _check(scale, num, bandwidth, "bandwidth")
    key_frequency, key_phase = jax.random.split(key)
    d, dtype = scale.center.shape[-1], scale.center.dtype
    w = jax.random.normal(key_frequency, (num, d), dtype) / bandwidth
    return Fourier(scale, w, jax.random.uniform(key_phase, (num,), dtype, maxval=2 * math.pi))


def radial(key: Array, scale: Scale, num: int, width: float = 1.0) -> Radial:
    """`num` Gaussian radial functions: centers spread evenly on [-2.5, 2.5] for d = 1, else drawn.

    Raises:
        InputError: for a scale that is none, no features or a width that is not positive.
    """
    _check(scale, num, width, "width")
    d, dtype = scale.center.shape[-1], scale.center.dtype
    if d == 1:
        centers = jnp.linspace(-2.5, 2.5, num, dtype=dtype)[:, None]
    else:
        centers = 1.5 * jax.random.normal(key, (num, d), dtype)
    return Radial(scale, centers, jnp.asarray(width, dtype))


def separate(scale: Scale, num: int, width: float = 1.0) -> Separate:
    """`num` Gaussian radial functions of each coordinate apart, spread evenly on [-2.5, 2.5].

    Raises:
        InputError: for a scale that is none, no features or a width that is not positive.
    """
    _check(scale, num, width, "width")
    dtype = scale.center.dtype
    return Separate(scale, jnp.linspace(-2.5, 2.5, num, dtype=dtype), jnp.asarray(width, dtype))


def _check(scale: Scale, num: int, width: float, name: str) -> None:
    _check_scale(scale)
    if num < 1:
        raise InputError(f"num must be at least 1, got {num}")
    if not width > 0:
        raise InputError(f"{name} must be above 0, got {width}")


def _check_scale(scale: Scale) -> None:
    if not isinstance(scale, Scale):
        raise InputError(f"scale must be a Scale, which standard_scale makes, got {scale!r:.60}")
