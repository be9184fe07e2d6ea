"""Kernel gradient descent at every training time at once, from the eigenvalues of the Gram matrix.

Least squares on N points with kernel κ ⊗ I and loss (1/2N) Σ_j |f(z_j) - y_j|², from f_0 = 0:

    f_{τ+1} = f_τ - (η/N) K (f_τ - Y)  on the points,    f_τ(z) = Σ_j κ(z, z_j) α_j  anywhere.

With K/N = V diag(λ) V', the residual Y - f_τ is V r_τ(λ) V' Y and α_τ = V (1 - r_τ(λ))/λ V' Y / N:

    "steps"   r = (1 - ηλ)^τ            τ steps of size η
    "flow"    r = exp(-ηλτ)             gradient flow at time ητ
    "ridge"   r = μ/(λ + μ)             ridge regression with μ = 1/(ητ), on the same axis

and at τ = ∞ all three are the interpolant of least norm. Labels `[N, ...]` are columns of one
operator: outputs, clean and noisy labels, and draws of the noise share one decomposition.
Source: Han, Razaviyayn, Xu, arXiv 2401.15604 (`ntk/early-stopping`, `ntk/error-decomposition`);
the filters as in Raskutti, Wainwright, Yu, arXiv 1306.3574.
"""

from functools import partial
from typing import Literal, NamedTuple, get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.custom_batching import sequential_vmap
from jax.typing import ArrayLike

from fineq.arrays import prefer_float64, real_array
from fineq.errors import InputError
from fineq.ntk.memory import check_memory
from fineq.ntk.tangent import BLOCK, as_points, gram, product

Kind = Literal["steps", "flow", "ridge"]


class Spectrum(NamedTuple):
    """Eigenpairs of K/N, largest first; fewer than N where they are Ritz pairs of a Krylov space.

    Attributes:
        values: λ, `[P]`, never negative.
        vectors: orthonormal columns `[N, P]`.
    """

    values: Array
    vectors: Array


class Filter(NamedTuple):
    """What a training time leaves and takes of each eigendirection, `[S, P]`.

    Attributes:
        left: r, the share of the labels not yet fitted.
        fitted: 1 - r, with all its digits where it is small.
        slope: (1 - r)/λ, which is ητ at λ = 0.
    """

    left: Array
    fitted: Array
    slope: Array


class Path(NamedTuple):
    """Kernel gradient descent at S training times, for labels `[N, ...]`.

    Attributes:
        times: τ, `[S]`.
        coefficients: α_τ, `[S, N, ...]`: the prediction is Σ_j κ(z, z_j) α_j.
        fitted: f_τ on the N points, `[S, N, ...]`.
        loss: (1/2N) Σ_j (f_τ(z_j) - y_j)² of each column, `[S, ...]`.
        norm: RKHS norm of f_τ of each column, `[S, ...]`.
        diverged: whether η is above the stability limit 2/λ_max of "steps", or the spectrum is not
            finite, scalar.
    """

    times: Array
    coefficients: Array
    fitted: Array
    loss: Array
    norm: Array
    diverged: Array


class Freedom(NamedTuple):
    """Traces of the map H_τ from labels to fits, `[S]`.

    Attributes:
        fitted: tr H_τ = Σ_i (1 - r_τ(λ_i)), the degrees of freedom.
        left: tr (I - H_τ)², by which the noise adds σ² to the squared residual.
    """

    fitted: Array
    left: Array


@sequential_vmap
def eigenpairs(A: Array) -> tuple[Array, Array]:
    """Eigenvalues `[P]` of a positive semi-definite `[P, P]`, largest first, and eigenvectors.

    Under `vmap` one matrix after the other, for LAPACK calls side by side share the threads that
    each of them needs. Eigenvalues below zero, which are rounding, are returned as zero.
    """
    values, vectors = jnp.linalg.eigh(A)
    return jnp.maximum(values[::-1], 0), vectors[:, ::-1]


def spectrum(K: ArrayLike) -> Spectrum:
    """Eigenpairs of K/N for a Gram matrix K `[N, N]`; raises `InputError` for anything else."""
    prefer_float64("ntk.spectrum")
    K = real_array("K", K, 2)
    if K.shape[0] != K.shape[1] or K.shape[0] == 0:
        raise InputError(f"K must be a square matrix of at least one row, got shape {K.shape}")
    return _spectrum(K)


@jax.jit
def _spectrum(K: Array) -> Spectrum:
    return Spectrum(*eigenpairs(K / K.shape[0]))


def spectrum_at(z: ArrayLike, available: int | None = None) -> Spectrum:
    """Eigenpairs of K/N at points `[N, D]`; `ResourceError` before work that will not fit."""
    z = as_points(z, z)[0]
    check_memory(z.shape[0], "spectral", z.dtype.itemsize, available)
    return spectrum(gram(z))


@partial(jax.jit, static_argnames="kind")
def filters(values: Array, eta: ArrayLike, times: ArrayLike, kind: Kind = "steps") -> Filter:
    """r_τ(λ) and what follows from it at eigenvalues `[P]` and times `[S]`, which may be infinite.

    At τ = ∞ eigenvalues at rounding of the largest count as zero. Between whole steps "steps"
    interpolates (1 - ηλ)^τ while ηλ < 1, and rounds τ for its sign beyond.
    """
    values = jnp.asarray(values)
    times = jnp.atleast_1d(jnp.asarray(times, values.dtype))[:, None]
    t = jnp.where(jnp.isinf(times), 1, times)
    x = (eta * values)[None, :]
    if kind == "steps":
        small = x < 1
        excess = jnp.maximum(jnp.abs(x - 1), jnp.finfo(values.dtype).tiny)
        power = t * jnp.where(small, jnp.log1p(-jnp.where(small, x, 0)), jnp.log(excess))
        odd = ~small & (jnp.round(t) % 2 == 1)
        left = jnp.where(odd, -1, 1) * jnp.exp(power)
        fitted = jnp.where(odd, 1 - left, -jnp.expm1(power))
    elif kind == "flow":
        left, fitted = jnp.exp(-x * t), -jnp.expm1(-x * t)
    else:
        left, fitted = 1 / (1 + x * t), x * t / (1 + x * t)
    positive = jnp.where(values > 0, values, 1)[None, :]
    slope = jnp.where(values[None, :] > 0, fitted / positive, eta * t)
    seen = (values > rounding(values))[None, :]
    limit = jnp.isinf(times)
    return Filter(
        jnp.where(limit, jnp.where(seen, 0, 1), left),
        jnp.where(limit, jnp.where(seen, 1, 0), fitted),
        jnp.where(limit, jnp.where(seen, 1 / positive, 0), slope),
    )


def rounding(values: Array) -> Array:
    """N eps λ_max: what is below it of the eigenvalues `[N]` may be zero."""
    return values.shape[0] * jnp.finfo(values.dtype).eps * jnp.max(values)


def descend(
    spectrum: Spectrum,
    labels: ArrayLike,
    eta: ArrayLike,
    times: ArrayLike,
    kind: Kind = "steps",
    *,
    force: bool = False,
) -> Path:
    """Training on labels `[N, ...]` with step η, at times `[S]` (0 to ∞).

    Args:
        spectrum: of K/N: all eigenpairs, or Ritz pairs of a space that holds the labels.
        labels: Y.
        eta: step size η; `default_step` gives the usual one.
        times: numbers of steps τ.
        kind: what is done for τ steps, see the head of this module.
        force: let "steps" diverge above the stability limit, and mark it so.

    Raises:
        InputError: for labels of another length, times below 0, or a step size that is not
            positive or above the stability limit (named), where these are known numbers.
    """
    labels = real_array("labels", labels)
    if labels.shape[:1] != spectrum.vectors.shape[:1]:
        raise InputError(
            f"labels must be as many as the {spectrum.vectors.shape[0]} points, "
            f"got shape {labels.shape}"
        )
    if kind not in get_args(Kind):
        raise InputError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind}")
    if not isinstance(times, Tracer) and not np.all(np.asarray(times) >= 0):
        raise InputError("training times must be 0 or more")
    check_step(eta, spectrum.values[0], force=force or kind != "steps")
    return _descend(spectrum, labels, eta, times, kind)


@partial(jax.jit, static_argnames="kind")
def _descend(
    spectrum: Spectrum, labels: Array, eta: ArrayLike, times: ArrayLike, kind: Kind
) -> Path:
    values, vectors = spectrum
    chex.assert_shape([vectors, labels], [(None, values.size), (len(vectors), ...)])
    count, shape = labels.shape[0], labels.shape[1:]
    loads = vectors.T @ labels.reshape(count, -1)
    taken = filters(values, eta, times, kind)

    def shaped(x: Array) -> Array:
        return x.reshape(*x.shape[:-1], *shape)

    def lifted(factors: Array) -> Array:
        return shaped(jnp.einsum("np,spc->snc", vectors, factors[:, :, None] * loads[None]))

    loss = jnp.square(taken.left) @ jnp.square(loads) / (2 * count)
    norm = jnp.sqrt((taken.fitted * taken.slope) @ jnp.square(loads) / count)
    return Path(
        jnp.atleast_1d(jnp.asarray(times, values.dtype)),
        lifted(taken.slope) / count,
        lifted(taken.fitted),
        shaped(loss),
        shaped(norm),
        _has_diverged(jnp.asarray(eta * values[0]), kind),
    )


def _has_diverged(largest: Array, kind: Kind) -> Array:
    """Whether training diverges at η λ_max: above 2 with "steps", and where that is no number."""
    stable = (largest <= 2) if kind == "steps" else jnp.isfinite(largest)
    return ~stable


@partial(jax.jit, static_argnames="kind")
def degrees_of_freedom(
    values: Array, eta: ArrayLike, times: ArrayLike, kind: Kind = "steps"
) -> Freedom:
    """Degrees of freedom at times `[S]`, from all N eigenvalues."""
    taken = filters(values, eta, times, kind)
    return Freedom(jnp.sum(taken.fitted, axis=1), jnp.sum(jnp.square(taken.left), axis=1))


def predict(z: ArrayLike, points: ArrayLike, coefficients: ArrayLike, block: int = BLOCK) -> Array:
    """Σ_j κ(z, z_j) α_j at z `[M, D]` for points `[N, D]` and α `[S, N, ...]`: `[S, M, ...]`.

    Holds at most `block²` entries of the kernel at once. Raises `InputError` for arrays that are no
    real numbers or do not fit.
    """
    z, points = as_points(z, points)
    coefficients = real_array("coefficients", coefficients)
    if coefficients.ndim < 2 or coefficients.shape[1] != len(points):
        raise InputError(
            f"coefficients must have shape (S, {len(points)}, ...), got {coefficients.shape}"
        )
    return _predict(z, points, coefficients, block)


@partial(jax.jit, static_argnums=3)
def _predict(z: Array, points: Array, coefficients: Array, block: int) -> Array:
    steps, count, *shape = coefficients.shape
    columns = jnp.moveaxis(coefficients.reshape(steps, count, -1), 0, 1).reshape(count, -1)
    out = product(z, points, columns, block).reshape(z.shape[0], steps, -1)
    return jnp.moveaxis(out, 1, 0).reshape(steps, z.shape[0], *shape)


def default_step(trace: ArrayLike) -> Array:
    """1/E κ(z, z) for `trace` = tr(K)/N = E κ(z, z); at most half of the stability limit."""
    return 1 / jnp.asarray(trace)


def stability_limit(largest: ArrayLike) -> Array:
    """2/λ_max: above it the residual along the first eigenvector grows with every step."""
    return 2 / jnp.asarray(largest)


def check_step(eta: ArrayLike, largest: ArrayLike, *, force: bool = False) -> None:
    """Raise `InputError` for a step size η not positive, or above 2/λ_max unless forced.

    Under `jit` or `vmap`, where η or λ_max is no number yet, nothing is checked.
    """
    if isinstance(eta, Tracer) or isinstance(largest, Tracer):
        return
    steps, limit = np.asarray(eta), np.asarray(stability_limit(largest))
    if not np.all((steps > 0) & np.isfinite(steps)):
        raise InputError(f"step size must be positive, got {np.min(steps):g}")
    if not force and not np.all(steps <= limit):
        raise InputError(
            f"step size must be at most 2/λ_max = {np.min(limit):.4g}, the limit of stability, "
            f"got {np.max(steps):.4g}; force it to see the descent diverge"
        )
