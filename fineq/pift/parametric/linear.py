"""Costates linear in features: PI-FT by exact least squares, one sweep a step.

At each t the target of PI-FT is regressed on φ_t(Y_t) over the simulated paths. Because the gain
S_t/β_t is the same at all points of a step, regressing the costate, the mean or the control gives
one and the same policy. Source: arXiv 2412.18164 (`pift/parametric`).
"""

from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.fast.lapack import after
from fineq.iterate import Method, method, static
from fineq.pift.doors import expect
from fineq.pift.parametric.features import Features
from fineq.pift.parametric.paths import (
    Paths,
    Target,
    check_num_paths,
    check_target,
    returns,
    simulate,
    targets,
)
from fineq.pift.problem import Problem

PASSES = (
    5  # each leaves the share ε cond(φ) of an error: enough up to a condition of 1e12 (float64)
)


class LinearCostate(NamedTuple):
    """c_t(y) = φ_t(y)'θ_t.

    Attributes:
        features: φ.
        coefficients: θ, `[T, K, d]`.
    """

    features: Features
    coefficients: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """c_t(y), `[d]`."""
        phi, theta = self.features(t, y), self.coefficients[t]
        return phi @ theta if phi.ndim == 1 else jnp.sum(phi.T * theta, axis=0)


class LinearInfo(NamedTuple):
    """What one sweep reports.

    Attributes:
        objective: mean return of the policy that came in; its standard error.
        error: of that mean.
        least_rank: smallest rank of the regressions over t; K where all features count.
        residual: root mean square of what the fit leaves of the targets, over all steps.
    """

    objective: Array
    error: Array
    least_rank: Array
    residual: Array


class Fit(NamedTuple):
    """A least squares fit: coefficients `[K, d]`, the rank of the features, residuals `[N, d]`."""

    coefficients: Array
    rank: Array
    residuals: Array


def start(problem: Problem, features: Features) -> LinearCostate:
    """The pre-trained policy as a linear costate.

    Raises:
        InputError: for features of another precision than the problem.
    """
    y = jnp.zeros(problem.d, problem.chain.sigmas.dtype)
    found = jax.eval_shape(features, 0, y)
    if found.dtype != y.dtype:
        raise InputError(
            f"the features are of {found.dtype}, but the problem of {y.dtype}: make them from a "
            "problem of its precision"
        )
    K = found.shape[-1]
    return LinearCostate(features, jnp.zeros((problem.num_steps, K, problem.d), y.dtype))


def least_squares(phi: Array, target: Array, ridge: float = 0.0) -> Fit:
    """The coefficients of least norm that minimise |φθ - target|²: φ `[N, K]`, target `[N, d]`.

    With φ = QR and R = UΣV', the columns of φVΣ^{-1} are orthonormal but for `ε cond(φ)`, and what
    rounding does to them is a change of φ by a few units of |φ|: θ = VΣ^{-1}y, with y by projection
    on them and corrections, is as accurate as with Q itself up to a condition of about 1e12
    (float64; 1e4 in float32). Singular values below rounding of
    the largest, `max(N, K) ε`, are taken to be zero. With a ridge |φθ - target|²/N + ridge |θ|² is
    minimised, by its normal equations, which are then well conditioned.
    """
    N, K = phi.shape
    chex.assert_shape(target, (N, None))
    if ridge:
        normal = phi.T @ phi / N + ridge * jnp.eye(K, dtype=phi.dtype)
        found = jnp.linalg.solve(normal, phi.T @ target / N)
        return Fit(found, jnp.asarray(K), target - phi @ found)
    # Q is not formed: that would be another LAPACK call beside these (see `fineq.fast.lapack`).
    _, s, Vt = jnp.linalg.svd(jnp.linalg.qr(phi, mode="r"))
    keep = s > jnp.finfo(phi.dtype).eps * max(phi.shape) * s[0]
    inverse = jnp.where(keep, 1 / jnp.where(keep, s, 1), 0)
    W = Vt[: s.shape[0]].T * inverse[None]
    whitened = phi @ W

    def correct(_: int, y: Array) -> Array:
        return y + whitened.T @ (target - whitened @ y)

    start = jnp.zeros((s.shape[0], target.shape[1]), phi.dtype)
    coefficients = W @ lax.fori_loop(0, PASSES, correct, start)
    return Fit(coefficients, jnp.sum(keep), target - phi @ coefficients)


def least_squares_each(features: Features, states: Array, wanted: Array, ridge: float = 0.0) -> Fit:
    """One fit for each t: states, wanted `[T, N, d]`, leaves of the result `[T, ...]`.

    Where the features have a row for each coordinate, so do the fits, with ranks `[T, d]`.
    """
    each = jax.vmap(lambda t, y: jax.vmap(lambda x: features(t, x))(y))
    phi = each(jnp.arange(states.shape[0]), states)
    phi = after(wanted, phi)  # which `landing` takes batched solves
    fit = partial(least_squares, ridge=ridge)
    if phi.ndim == 3:
        return jax.vmap(fit)(phi, wanted)
    found = jax.vmap(jax.vmap(fit, 1))(phi, wanted[..., None])
    return Fit(
        jnp.moveaxis(found.coefficients[..., 0], 1, 2),
        found.rank,
        jnp.moveaxis(found.residuals[..., 0], 1, 2),
    )


def regress(
    problem: Problem, costate: LinearCostate, paths: Paths, target: Target, ridge: float = 0.0
) -> Fit:
    """All steps' fits to the PI-FT targets of the paths, leaves `[T, ...]`."""
    wanted = targets(problem, costate, paths, target)
    return least_squares_each(costate.features, paths.states[:-1], wanted, ridge)


def project(features: Features, states: Array, wanted: Array) -> LinearCostate:
    """The best costate of the class in mean square: states, wanted `[T, N, d]`."""
    return LinearCostate(features, least_squares_each(features, states, wanted).coefficients)


@method
class LinearSweeps(Method):
    """PI-FT by whole sweeps with costates linear in features: simulate, then fit all steps.

    Measured: `last_objective`, J of the policy that the last sweep began with, estimated from its
    paths, and `standard_error` of that; `residual` and `least_rank` of the fits, see `LinearInfo`.
    With a `fineq.pift.Reference` also `error`, the control error of the policy.

    Attributes:
        num_paths: simulated for each sweep.
        features: of the costate; None: those of the start.
        target: see `fineq.pift.parametric.paths`.
        share: of the way to the fit that is gone, in (0, 1]; below 1 it averages the noise of about
            2/share sweeps, and slows their contraction.
        ridge: price of |θ_t|² beside the mean square of what the fit leaves: it keeps features that
            few paths visit from large coefficients, at a bias.

    Raises:
        InputError: for fewer than one path, an unknown target, a share outside (0, 1], or a
            negative ridge.
    """

    draws = True
    reads = ("errors",)

    num_paths: int = static()
    features: Any = None
    target: Target = static(default="landing")
    share: Any = 1.0
    ridge: float = static(default=0.0)

    def __post_init__(self) -> None:
        check_num_paths(self.num_paths)
        check_target(self.target)
        if isinstance(self.share, int | float) and not 0 < self.share <= 1:
            raise InputError(f"share must lie in (0, 1], got {self.share}")
        if self.ridge < 0:
            raise InputError(f"ridge must be at least 0, got {self.ridge}")

    def init(
        self, key: Array | None, problem: Problem, start: LinearCostate | None
    ) -> LinearCostate:
        """The costate `start`, or zero: the pre-trained policy."""
        del key
        expect(self, problem, Problem, "make_problem")
        return begun(problem, self.features, start)

    def step(
        self, key: Array | None, state: LinearCostate, problem: Problem
    ) -> tuple[LinearCostate, LinearInfo]:
        """One sweep."""
        assert key is not None
        paths = simulate(key, problem, state, self.num_paths)
        fit = regress(problem, state, paths, self.target, self.ridge)
        gained = returns(problem, paths)
        info = LinearInfo(
            jnp.mean(gained),
            jnp.std(gained) / jnp.sqrt(self.num_paths),
            jnp.min(fit.rank),
            jnp.sqrt(jnp.mean(fit.residuals**2)),
        )
        moved = state.coefficients + self.share * (fit.coefficients - state.coefficients)
        return LinearCostate(state.features, moved), info

    def measure(
        self, state: LinearCostate, info: LinearInfo, problem: Problem, reference: Any
    ) -> dict[str, Array]:
        """What the sweep reported, and the error of the policy."""
        found = {
            "last_objective": info.objective,
            "standard_error": info.error,
            "residual": info.residual,
            "least_rank": info.least_rank,
        }
        return found if reference is None else {**found, **reference.errors(problem, state)}


def begun(
    problem: Problem, features: Features | None, given: LinearCostate | None
) -> LinearCostate:
    """Where a method with linear features starts: as given, or as the pre-trained policy.

    Raises:
        InputError: where neither is given, coefficients are of another shape than the problem
            has, or features of another precision.
    """
    if given is None:
        if features is None:
            raise InputError("linear controls need features: give features=, or a start")
        return start(problem, features)
    like = start(problem, given.features).coefficients
    if given.coefficients.shape != like.shape:
        raise InputError(
            f"coefficients must have shape {like.shape} for this problem, got "
            f"{given.coefficients.shape}"
        )
    return given
