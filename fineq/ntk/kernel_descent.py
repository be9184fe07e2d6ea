"""Kernel gradient descent, step by step.

Gradient descent in function space on (1/2N) Σ_j |f(z_j) - y_j|² with kernel κ ⊗ I,

    f_{τ+1}(z) = f_τ(z) - (η/N) Σ_j κ(z, z_j) (f_τ(z_j) - y_j),    f_τ(z) = Σ_j κ(z, z_j) α_j,

is α_{τ+1} = α_τ - (η/N) (f_τ - Y). It is what a two-layer network does in the limit of infinite
width (`ntk/coupling`, arXiv 2401.15604). All τ at once, from one eigendecomposition, are the fast
way: `fineq.ntk.spectral.descend`.
"""

from typing import Any, NamedTuple

import chex
import jax.numpy as jnp
from jax import Array

from fineq.arrays import check_positive, real_array
from fineq.errors import InputError
from fineq.iterate import Method, method, non_finite, static
from fineq.ntk.network import dot
from fineq.ntk.problem import Regression, loss_of, measures
from fineq.ntk.step_size import step_or_default
from fineq.ntk.tangent import gram, product

# A stable descent never raises its loss, but for rounding.
RISE = 100.0


class Expansion(NamedTuple):
    """The state of a descent.

    Attributes:
        coefficients: α_τ, `[N, d]`.
        fitted: f_τ at the inputs, K α_τ, `[N, d]`.
        gram: K `[N, N]`, or None where it is not stored.
        most: the larger of the losses at the start and at f = 0.
    """

    coefficients: Array
    fitted: Array
    gram: Array | None
    most: Array


class Seen(NamedTuple):
    """What a step has seen: the loss (1/2N) Σ_j |f - y|² before it."""

    loss: Array


@method
class KernelDescent(Method):
    """Gradient descent with the tangent kernel κ on a `Regression`; its value is α `[N, d]`.

    A step size above 2/λ_max, λ_max the largest eigenvalue of K/N (`largest_eigenvalue`), diverges.
    Measured: `train`, `fresh`, `loss`, `norm`, the RKHS norm of each output, and with a reference
    `[M, d]` the `distance` (`fineq.ntk.problem.measures`).

    Attributes:
        step_size: η; None for 1/E κ(z, z).
        stored: whether K is held, N² numbers, or computed anew in tiles at every step.
    """

    step_size: Any = None
    stored: bool = static(default=True)

    def __post_init__(self) -> None:
        check_positive(step_size=self.step_size)

    def init(self, key: Array | None, problem: Regression, start: Any) -> Expansion:
        """From coefficients `start` `[N, d]`, or from f = 0."""
        del key
        labels = problem.labels
        alpha = jnp.zeros_like(labels) if start is None else real_array("start", start, 2)
        if alpha.shape != labels.shape:
            raise InputError(f"start must hold coefficients {labels.shape}, got {alpha.shape}")
        alpha = alpha.astype(labels.dtype)
        K = gram(problem.z) if self.stored else None
        fitted = _applied(K, problem, alpha)
        most = jnp.maximum(loss_of(fitted, problem), loss_of(jnp.zeros_like(fitted), problem))
        return Expansion(alpha, fitted, K, most)

    def step(self, key: Array | None, state: Expansion, problem: Regression) -> tuple[Any, Seen]:
        """One step; a product with K, and 2 N d operations."""
        del key
        chex.assert_equal_shape([state.coefficients, state.fitted, problem.labels])
        rate = step_or_default(self.step_size, problem.z) / problem.z.shape[0]
        alpha = state.coefficients - rate * (state.fitted - problem.labels)
        following = state._replace(coefficients=alpha, fitted=_applied(state.gram, problem, alpha))
        return following, Seen(loss_of(state.fitted, problem))

    def measure(
        self, state: Expansion, info: Seen, problem: Regression, reference: Any
    ) -> dict[str, Array]:
        """`train`, `fresh`, `loss`, `norm` and `distance`; at the fresh inputs M N entries of κ."""
        del info
        fresh = jnp.zeros((0, problem.labels.shape[1]), problem.z.dtype)
        if problem.fresh.shape[0]:
            fresh = product(problem.fresh, problem.z, state.coefficients)
        squares = jnp.sum(state.coefficients * state.fitted, axis=0)
        norm = jnp.sqrt(jnp.maximum(squares, 0))
        return {**measures(problem, state.fitted, fresh, reference), "norm": norm}

    def diverged(self, state: Expansion, info: Seen, problem: Regression) -> Array:
        """Whether numbers are not finite, or the loss is `RISE` times what it began with."""
        del info
        loss = loss_of(state.fitted, problem)
        return non_finite((state.coefficients, loss)) | (loss > RISE * state.most)

    def value(self, state: Expansion, problem: Regression) -> Array:
        """α, `[N, d]`; `fineq.ntk.spectral.predict(z, problem.z, α[None])` predicts anywhere."""
        del problem
        return state.coefficients


def _applied(K: Array | None, problem: Regression, alpha: Array) -> Array:
    return product(problem.z, problem.z, alpha) if K is None else dot(K, alpha)
