"""Full-batch gradient descent of the two-layer network.

The loss is (1/2N) Σ_j |f(z_j) - y_j|² and only the w_r move (arXiv 2401.15604). One step takes the
gradient in closed form, by groups of units whose activations stay in cache: a group gets its
gradient, moves, and adds to the next predictions before the following group is touched, so that no
more than `N units` activations exist at any time.
"""

from typing import Any, NamedTuple

import chex
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import sequential_vmap

from fineq.arrays import check_positive
from fineq.errors import InputError
from fineq.iterate import Method, method, non_finite, static
from fineq.ntk.network import (
    Initialisation,
    Weights,
    check_weights,
    check_width,
    dot,
    draw_weights,
    grouped,
    sums_over,
    ungrouped,
    units_for,
)
from fineq.ntk.problem import Regression, measures
from fineq.ntk.step_size import step_or_default

# Below the stability limit the loss of kernel descent never rises, and that of a network hardly.
RISE = 100.0


class Training(NamedTuple):
    """The state of a run.

    Attributes:
        W: input weights in groups, `[G, D, units]`; the last is filled up with zeros.
        sums: Σ_r A_r relu(w_r·z_j) at the training inputs, `[N, d]`.
        A: output signs in groups, `[G, d, units]`; fixed, as is what follows.
        base: what is subtracted from the network at the training inputs, `[N, d]`.
        base_fresh: the same at the fresh inputs, `[M, d]`.
        scale: m^{-1/2}.
    """

    W: Array
    sums: Array
    A: Array
    base: Array
    base_fresh: Array
    scale: Array

    def predictions(self) -> Array:
        """F at the training inputs, `[N, d]`."""
        return self.scale * self.sums - self.base


class Seen(NamedTuple):
    """What a step saw before it moved.

    Attributes:
        loss: (1/2N) Σ_j |f(z_j) - y_j|².
        risen: whether that is more than `RISE` times E loss of a network that starts `plain`.
    """

    loss: Array
    risen: Array


@method
class NetworkTraining(Method):
    """Gradient descent of a two-layer network on a `Regression`; its value are the `Weights`.

    A step size above 2/λ_max, λ_max the largest eigenvalue of K/N (`largest_eigenvalue`), diverges
    at large width. Measured: `train`, `fresh`, `loss`, and with a reference `[M, d]` the `distance`
    (`fineq.ntk.problem.measures`).

    Attributes:
        step_size: η; None for 1/E κ(z, z).
        width: m.
        initialisation: symmetric, subtracted or plain, as in `fineq.ntk.network`.
        units: in a group; None for what fits the cache.
    """

    step_size: Any = None
    width: int = static(default=1024)
    initialisation: Initialisation = static(default="symmetric")
    units: int | None = static(default=None)

    draws = True

    def __post_init__(self) -> None:
        check_width(self.width, self.initialisation)
        check_positive(step_size=self.step_size)
        if self.units is not None and self.units < 1:
            raise InputError(f"units must be at least 1, got {self.units}")

    def init(self, key: Array | None, problem: Regression, start: Weights | None) -> Training:
        """From the weights `start` of as many units, or from such as are drawn."""
        z, d = problem.z, problem.labels.shape[1]
        weights = self._weights(key, problem, start)
        units = self.units or units_for(z.shape[0], self.width)
        W, A = (grouped(x.astype(z.dtype), units) for x in weights)
        scale = jnp.asarray(self.width**-0.5, z.dtype)
        sums = sums_over(W, A, z)
        base, base_fresh = jnp.zeros_like(sums), jnp.zeros((len(problem.fresh), d), z.dtype)
        if self.initialisation == "subtracted":
            base, base_fresh = scale * sums, scale * sums_over(W, A, problem.fresh)
        return Training(W, sums, A, base, base_fresh, scale)

    def _weights(self, key: Array | None, problem: Regression, start: Weights | None) -> Weights:
        D, d = problem.z.shape[1], problem.labels.shape[1]
        if start is not None:
            weights = check_weights(start)
            if weights.W.shape != (self.width, D) or weights.A.shape[1] != d:
                raise InputError(
                    f"start must hold W ({self.width}, {D}) and A ({self.width}, {d}), got "
                    f"{weights.W.shape} and {weights.A.shape}"
                )
            return weights
        if key is None:
            raise InputError("NetworkTraining draws its weights: give a key, or start")
        return draw_weights(key, self.width, D, d, self.initialisation, problem.z.dtype)

    def step(self, key: Array | None, state: Training, problem: Regression) -> tuple[Any, Seen]:
        """One step of full-batch gradient descent.

        w_r <- w_r - (η/N) m^{-1/2} Σ_j 1{w_r·z_j > 0} (A_r·(f(z_j) - y_j)) z_j. About
        `4 N m (D + d)` multiplications and additions, and `2 N m D` more to recompute activations.
        """
        del key
        z, labels = problem.z, problem.labels
        N, eta = z.shape[0], step_or_default(self.step_size, z)
        residual = state.predictions() - labels
        W, sums = _move(z, eta * state.scale / N * residual, state.W, state.A)
        loss = jnp.sum(jnp.square(residual)) / (2 * N)
        most = (
            jnp.sum(jnp.square(labels)) / (2 * N)
            + 0.25 * jnp.mean(jnp.sum(jnp.square(z), axis=1)) * labels.shape[1]
        )
        return state._replace(W=W, sums=sums), Seen(loss, loss > RISE * most)

    def measure(
        self, state: Training, info: Seen, problem: Regression, reference: Any
    ) -> dict[str, Array]:
        """`train`, `fresh`, `loss` and `distance`."""
        del info
        sums = sums_over(state.W, state.A, problem.fresh)
        fresh = state.scale * sums - state.base_fresh
        return measures(problem, state.predictions(), fresh, reference)

    def diverged(self, state: Training, info: Seen, problem: Regression) -> Array:
        """Whether the weights have left the finite numbers, or the loss has risen beyond starts."""
        del problem
        return info.risen | non_finite((state.sums, state.W))

    def value(self, state: Training, problem: Regression) -> Weights:
        """The network; with `subtracted` f_0 is still to be subtracted."""
        del problem
        return Weights(*(ungrouped(x, self.width) for x in (state.W, state.A)))


@sequential_vmap
def _move(z: Array, pull: Array, W: Array, A: Array) -> tuple[Array, Array]:
    """Weights and sums after a step; `pull` is η m^{-1/2} (f - y)/N, `[N, d]`.

    Under `vmap` one network after the other, as in `network.sums_over`.
    """
    (N, D), (G, _, units) = z.shape, W.shape
    chex.assert_shape([W, A, pull], [(G, D, units), (G, None, units), (N, A.shape[1])])

    def group(total: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        w, a = given
        w = w - dot(z.T, jnp.where(dot(z, w) > 0, dot(pull, a), 0))
        # Recomputed rather than kept: 2 D operations cost less than a trip to memory.
        return total + dot(jnp.maximum(dot(z, w), 0), a.T), w

    sums, W = lax.scan(group, jnp.zeros_like(pull), (W, A))
    return W, sums
