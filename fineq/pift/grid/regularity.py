"""Lipschitz constants of controls, values and their gradients: measured, and the bounds.

With L0, L1 the Lipschitz constants of V_{t+1} and its gradient, Lm, Lm' those of m0_t and its
Jacobian and q = σ_t² L1/β_t < 1, the optimal value satisfies

    L0_t ≤ Lm L0,   L1_t ≤ Lm² L1/(1 - q) + Lm' L0,

and after i ≥ 1 plain inner iterations

    L0_t^i ≤ Lm L0 (1 + q^i (1 - q^{i+1})/(1 - q)),   Lip m^i ≤ Lm (1 - q^{i+1})/(1 - q),

so that the control of a diffusion model has Lip u^i ≤ Lip s + √α/(1-α) q Lip m^{i-1}. Constants of
this kind are what arXiv 2412.18164 proves to exist for all iterations (`pift/regularity`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.pift.grid.spline import Jet
from fineq.pift.grid.tensor import Grid
from fineq.pift.problem import Problem


class Constants(NamedTuple):
    """Lipschitz constants of a function and of its derivative."""

    function: Array
    derivative: Array


@jax.jit
def value_constants(grid: Grid, values: Array, mask: Array) -> Constants:
    """Sup of |∇V| and of ‖∇²V‖ over the points that `mask [P]` keeps, for values V `[P]`."""
    return jet_constants(grid.jet(grid.spline(values), grid.points()), mask)


def jet_constants(jet: Jet, mask: Array) -> Constants:
    """Sup of |∇f| and of ‖∇²f‖ over the points that `mask [P]` keeps."""
    return Constants(
        _most(jnp.linalg.norm(jet.gradient, axis=-1), mask), _most(_norms(jet.hessian), mask)
    )


@jax.jit
def map_constant(grid: Grid, field: Array, mask: Array) -> Array:
    """Sup of the spectral norm of the Jacobian of a field `[P, d]` over the mask."""
    points = grid.points()
    rows = jax.vmap(lambda v: grid.jet(grid.spline(v), points).gradient, 1, 1)(field)
    return _most(_norms(rows), mask)


def control_constant(grid: Grid, means: Array, alpha: Array, mask: Array) -> Array:
    """Lipschitz constant of the control u = (√α m - y)/(1 - α) of means `[P, d]`."""
    return map_constant(grid, (jnp.sqrt(alpha) * means - grid.points()) / (1 - alpha), mask)


@jax.jit
def mean_constants(problem: Problem, grid: Grid, region: Array) -> Constants:
    """Lm_t and Lm'_t, each `[T]`, of the pre-trained means over region `[T + 1, P]`, exactly.

    In two dimensions Lm' is the root of the sum of squares over components: an upper bound.
    """
    points = grid.points()

    def at(now: tuple[Array, Array]) -> Constants:
        t, mask = now

        def mean(y: Array) -> Array:
            return problem.chain.mean(t, y)

        slopes = jax.vmap(jax.jacfwd(mean))(points)
        bends = jax.vmap(jax.jacfwd(jax.jacfwd(mean)))(points)
        size = jnp.linalg.norm(_norms(bends), axis=-1)
        return Constants(_most(_norms(slopes), mask), _most(size, mask))

    return lax.map(at, (jnp.arange(problem.num_steps), region[:-1]))


def optimal_bound(after: Constants, mean: Constants, ratio: Array) -> Constants:
    """Bounds for V*_t from constants of V*_{t+1}, of m0_t, and q; L1 infinite where q ≥ 1.

    All arrays have one shape. A running reward adds its own constants.
    """
    curved = mean.function**2 * after.derivative / (1 - ratio)
    # 0 · ∞ is 0 here: an affine mean has no second derivative, whatever the slope.
    bent = jnp.where(mean.derivative == 0, 0.0, mean.derivative * after.function)
    bound = jnp.where(ratio < 1, curved + bent, jnp.inf)
    return Constants(mean.function * after.function, bound)


def recursive_bounds(last: Constants, mean: Constants, betas: Array, sigmas: Array) -> Constants:
    """The bounds for V*_T..V*_0 from the reward's constants alone, `[T + 1]`.

    Args:
        last: constants of the reward.
        mean: Lm, Lm', each `[T]`.
        betas: `[T]`.
        sigmas: `[T]`, the largest standard deviation over axes.
    """

    def step(after: Constants, now: tuple) -> tuple[Constants, Constants]:
        function, derivative, beta, sigma = now
        ratio = sigma**2 * after.derivative / beta
        bound = optimal_bound(after, Constants(function, derivative), ratio)
        return bound, bound

    found = lax.scan(step, last, (*mean, betas, sigmas), reverse=True)[1]
    return jax.tree.map(lambda x, end: jnp.concatenate([x, end[None]]), found, last)


def iterate_bounds(after: Array, mean: Array, ratio: Array, num_inner: int) -> tuple[Array, Array]:
    """Bounds of L0_t^i and Lip m^i for i = 0..num_inner, `[T, num_inner + 1]`; infinite for q ≥ 1.

    Args:
        after: L0_{t+1}, `[T]`.
        mean: Lm_t, `[T]`.
        ratio: q_t, `[T]`.
        num_inner: number of plain inner iterations.
    """
    i = jnp.arange(num_inner + 1, dtype=ratio.dtype)[None]
    q, allowed = ratio[:, None], ratio[:, None] < 1
    q = jnp.where(allowed, q, 0.0)
    grown = (1 - q ** (i + 1)) / (1 - q)
    # At i = 0 the mean is m0 itself, and nothing is added.
    value = (mean * after)[:, None] * jnp.where(i == 0, 1.0, 1 + q**i * grown)
    moved = mean[:, None] * grown
    unknown = ~allowed & (i > 0)
    return jnp.where(unknown, jnp.inf, value), jnp.where(unknown, jnp.inf, moved)


def control_bounds(score: Array, alphas: Array, ratio: Array, moved: Array) -> Array:
    """Bounds of Lip u^i, `[T, num_inner + 1]`.

    Args:
        score: Lip s_t, `[T]`.
        alphas: `[T]`.
        ratio: q_t, `[T]`.
        moved: bounds of Lip m^i, `[T, num_inner + 1]`.
    """
    factor = (jnp.sqrt(alphas) / (1 - alphas) * ratio)[:, None]
    later = score[:, None] + factor * moved[:, :-1]
    return jnp.concatenate([score[:, None], later], axis=1)


def _most(x: Array, mask: Array) -> Array:
    return jnp.max(jnp.where(mask, x, 0.0))


def _norms(matrices: Array) -> Array:
    """Spectral norms of matrices `[..., d, d]`, d = 1 or 2, in closed form: no LAPACK in a loop."""
    if matrices.shape[-1] == 1:
        return jnp.abs(matrices[..., 0, 0])
    a, b, c, e = (matrices[..., i, j] for i in range(2) for j in range(2))
    return (jnp.hypot(a + e, b - c) + jnp.hypot(a - e, b + c)) / 2
