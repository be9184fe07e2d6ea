"""The closed loop of a policy: bounds of its spectral radius, and of all its powers.

The paper's argument needs `|(A - B K1)^t| <= c1 ρ1^t` for all t with c1 >= 1 and ρ1 < 1; here the
least such c1 for a given ρ1 is found. Source: arXiv 2303.08431 (`nlqr/landscape`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.fast.products import matmul
from fineq.nlqr.problem import System, split_policy
from fineq.nlqr.random_systems import spectral_norm, spectral_radius

STEPS = 60  # squarings: M^(2^60) of any matrix is zero, infinite or known to nothing


class PowerBound(NamedTuple):
    """Constants with `|M^t| <= c1 rho1^t` (spectral norm) for all t >= 0; scalars.

    `radius` is ρ(M); `steps` how many powers were formed; `certified` says that the bound is proved
    (to rounding) for all t. Where it is not, `c1` is the supremum over the powers formed only.
    """

    radius: Array
    c1: Array
    rho1: Array
    steps: Array
    certified: Array


def closed_loop(system: System, K: Array) -> Array:
    """Return `A - B K1 [n, n]` for a policy K `[p, n + d]`: the linear part the paper bounds."""
    K1, _ = split_policy(K, system.n)
    return system.A - system.B @ K1


def linearisation(system: System, K: Array) -> Array:
    """Return the Jacobian of the closed loop at 0, `A - B K1 + (C - B K2) ∇φ(0)`, `[n, n]`.

    The origin is exponentially stable exactly when its spectral radius is below 1; of states far
    from 0 this says nothing.
    """
    K1, K2 = split_policy(K, system.n)
    B = system.B
    return system.A - matmul(B, K1) + matmul(system.C - matmul(B, K2), _slope(system))


def _slope(system: System) -> Array:
    return jax.jacfwd(system.phi)(jnp.zeros(system.n, system.A.dtype), system.scale)


class PowerNorms(NamedTuple):
    """What the powers M^m, m = 2^k, prove about a matrix M, rounding included.

    `above [STEPS]` is at least |M^m| (Frobenius norm) for k = 0, 1, ...: one below 1 proves M
    stable. `radius`, a scalar, is at most ρ(M): above 1 it proves that some powers grow for ever.
    """

    above: Array
    radius: Array


def power_norms(M: Array, error: Array) -> PowerNorms:
    """Bound the powers and the spectral radius of any matrix within `error` of M, both `[n, n]`.

    By repeated squaring, with bounds for the error beside it, of every entry (in any units of the
    coordinates) and of the whole: what is claimed holds for defective matrices too, whose computed
    eigenvalues are off by a root of the rounding unit. From below ρ^m >= |tr M^m|/n; the best m
    counts.
    """
    n = len(M)
    unit = 2 * (n + 2) * float(jnp.finfo(M.dtype).eps)

    def square(carry: _Power, k: Array) -> tuple[_Power, tuple[Array, Array]]:
        size = jnp.max(jnp.abs(carry.power) + carry.error)
        size = jnp.where((size > 0) & jnp.isfinite(size), size, 1.0)
        power, error, whole = carry.power / size, carry.error / size, carry.whole / size
        scale = carry.scale + jnp.log(size)
        absolute = jnp.abs(power)
        most, norm = absolute + error, jnp.linalg.norm(power)
        above = scale + jnp.log(jnp.minimum(jnp.linalg.norm(most), norm + whole))
        missing = jnp.minimum(jnp.trace(error), n**0.5 * whole)
        least = jnp.abs(jnp.trace(power)) * (1 - unit) - missing * (1 + unit)
        below = (scale + jnp.log(jnp.maximum(least, 0.0) / n)) * 2.0**-k
        # (P + E)² - P² = PE + EP + E², and the product itself is rounded.
        norms = (2 * norm * whole + whole**2) * (1 + unit) + unit * norm**2
        both = matmul(absolute, error) + matmul(error, absolute) + matmul(error, error)
        following = _Power(
            matmul(power, power),
            both * (1 + unit) + unit * matmul(absolute, absolute),
            jnp.where(jnp.isnan(norms), jnp.inf, norms),  # 0 · ∞: the bound has been lost
            2 * scale,
        )
        return following, (above, below)

    start = _Power(M, error, jnp.linalg.norm(error), jnp.zeros((), M.dtype))
    _, (above, below) = jax.lax.scan(square, start, jnp.arange(STEPS, dtype=M.dtype))
    # The logarithms of the sizes, entries up to e^60, are rounded too.
    margin = 8 * STEPS * float(jnp.finfo(M.dtype).eps)
    return PowerNorms(jnp.exp(above), jnp.exp(jnp.max(below) - margin))


class _Power(NamedTuple):
    """A power over e^scale, and bounds of its error: of each entry, and of the Frobenius norm."""

    power: Array
    error: Array
    whole: Array
    scale: Array


def loop_norms(system: System, K: Array) -> PowerNorms:
    """Return `power_norms` of the linearisation at 0, whose own rounding is allowed for."""
    K1, K2 = split_policy(K, system.n)
    slope = _slope(system)
    A, B, C, K1, K2, slope = (jnp.abs(x) for x in (system.A, system.B, system.C, K1, K2, slope))
    terms = A + matmul(B, K1) + matmul(C + matmul(B, K2), slope)
    unit = 2 * sum(system.policy_shape) * float(jnp.finfo(terms.dtype).eps)
    return power_norms(linearisation(system, K), unit * terms)


def power_bound(M: Array, rho1: ArrayLike | None = None, *, max_steps: int = 10_000) -> PowerBound:
    """Find the least c1 with `|M^t| <= c1 rho1^t` for all t >= 0, M `[n, n]`.

    `rho1` is (1 + ρ(M))/2 by default. With N = M/rho1, c1 = max_t |N^t|, and once |N^s| <= 1 no
    later power exceeds the first s ones: then the maximum is exact, and certified. Where
    rho1 <= ρ(M) (by default: where ρ(M) >= 1), or `max_steps` powers do not suffice, `certified`
    is False. Raises `InputError` unless M is a square matrix of real numbers.
    """
    M = real_array("M", M, 2)
    if M.shape[0] != M.shape[1] or M.shape[0] == 0:
        raise InputError(f"M must be a square matrix of at least one row, got shape {M.shape}")
    radius = spectral_radius(M)
    rho1 = jnp.asarray((1 + radius) / 2 if rho1 is None else rho1, M.dtype)
    possible = radius < rho1
    scaled = M / rho1

    def unsettled(carry: tuple[Array, Array, Array, Array]) -> Array:
        _, norm, _, steps = carry
        # The power of step 0 is the identity, whose norm 1 settles nothing.
        return possible & ((norm > 1) | (steps == 0)) & (steps < max_steps)

    def multiply(
        carry: tuple[Array, Array, Array, Array],
    ) -> tuple[Array, Array, Array, Array]:
        power, _, largest, steps = carry
        power = power @ scaled
        norm = spectral_norm(power)
        return power, norm, jnp.maximum(largest, norm), steps + 1

    one = jnp.ones((), M.dtype)
    start = (jnp.eye(len(M), dtype=M.dtype), one, one, jnp.zeros((), jnp.int32))
    _, norm, largest, steps = jax.lax.while_loop(unsettled, multiply, start)
    return PowerBound(radius, largest, rho1, steps, possible & (steps > 0) & (norm <= 1))


def policy_bound(system: System, K: Array, *, max_steps: int = 10_000) -> PowerBound:
    """Return `power_bound` of the closed loop `A - B K1` of a policy K `[p, n + d]`."""
    return power_bound(closed_loop(system, K), max_steps=max_steps)
