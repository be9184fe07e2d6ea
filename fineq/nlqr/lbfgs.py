"""Reference optimum without a dense Hessian: L-BFGS, and what certifies where it ended.

The p(n+d) entries of a policy of a large system make a Hessian that does not fit. L-BFGS needs
gradients alone. Its own estimate of the cost left to gain rests on the directions it has seen, so
`newton_decrement` and `extreme_curvature` measure decrement, μ and h anew at the end, from products
of the Hessian with a vector.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.scipy.sparse.linalg import cg

from fineq.nlqr.landscape import Curvature
from fineq.nlqr.optimum import Objective

MEMORY = 20  # pairs of steps and gradient changes kept


class LbfgsState(NamedTuple):
    """The policy `K [p, n+d]`, its cost, and the optimiser's own state."""

    K: Array
    cost: Array
    optimiser: Any


class LbfgsInfo(NamedTuple):
    """Quantities at the policy the step *started* from.

    Attributes:
        decrement: `½ g'|d|` with the direction d of L-BFGS, an estimate of the Newton decrement.
        relative_decrement: the decrement over the cost.
        step: accepted step length.
    """

    decrement: Array
    relative_decrement: Array
    step: Array


def start_lbfgs(K: Array, cost: Array) -> LbfgsState:
    """L-BFGS before its first step."""
    return LbfgsState(K, cost, optax.lbfgs(memory_size=MEMORY).init(K))


def make_lbfgs(objective: Objective) -> Callable:
    """A deterministic kernel `(state, problem) -> (state, info)` that minimises `objective`.

    Directions and the strong Wolfe line search are those of `optax.lbfgs`.

    Args:
        objective: `(K, problem) -> scalar`, differentiable.
    """
    optimiser = optax.lbfgs(memory_size=MEMORY)

    def step(state: LbfgsState, problem: Any) -> tuple[LbfgsState, LbfgsInfo]:
        def value(K: Array) -> Array:
            cost = objective(K, problem)
            return jnp.where(jnp.isfinite(cost), cost, jnp.inf)

        cost, gradient = jax.value_and_grad(value)(state.K)
        found = optimiser.update(
            gradient, state.optimiser, state.K, value=cost, grad=gradient, value_fn=value
        )
        moved, inner = cast("tuple[Array, Any]", found)
        length = optax.tree_utils.tree_get(inner, "learning_rate")
        length = jnp.maximum(length, jnp.finfo(cost.dtype).tiny)
        decrement = jnp.abs(jnp.vdot(gradient, moved)) / (2 * length)
        K = state.K + moved
        info = LbfgsInfo(decrement, decrement / cost, length)
        return LbfgsState(K, value(K), inner), info

    return step


def hessian_product(objective: Objective, K: Array, problem: Any) -> Callable[[Array], Array]:
    """The Hessian at K as a map of directions `[p, n+d]`."""

    def product(v: Array) -> Array:
        return jax.jvp(lambda x: jax.grad(objective)(x, problem), (K,), (v,))[1]

    return product


def newton_decrement(
    objective: Objective, K: Array, problem: Any, *, num_products: int = 200
) -> Array:
    """`½ g'H^{-1}g` at K by conjugate gradients, in units of cost.

    After finitely many products the value is a lower bound that grows with them. Where H is not
    positive definite it means nothing: look at `extreme_curvature`.
    """
    gradient = jax.grad(objective)(K, problem)
    product = hessian_product(objective, K, problem)
    x, _ = cg(product, gradient, tol=1e-10, maxiter=num_products)
    return jnp.vdot(gradient, x) / 2


def extreme_curvature(
    objective: Objective, key: Array, K: Array, problem: Any, *, num_products: int = 100
) -> Curvature:
    """μ and h at K from a Krylov space of the Hessian (Lanczos, fully reorthogonalised).

    Exact once `num_products` reaches p(n+d); before that μ is bounded from above and h from below.

    Args:
        objective: `(K, problem) -> scalar`.
        key: of the random first direction.
        K: policy `[p, n+d]`.
        problem: handed to the objective.
        num_products: products with the Hessian at most (static).
    """
    product = hessian_product(objective, K, problem)
    num = min(num_products, K.size)
    first = jax.random.normal(key, (K.size,), K.dtype)
    basis = jnp.zeros((num, K.size), K.dtype).at[0].set(first / jnp.linalg.norm(first))

    def extend(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, images = carry
        image = product(basis[i].reshape(K.shape)).ravel()
        rest = image
        for _ in range(2):  # once leaves rounding of the size of what was removed
            rest = rest - basis.T @ (basis @ rest)
        size = jnp.linalg.norm(rest)
        unit = jnp.where(size > jnp.finfo(K.dtype).eps * jnp.linalg.norm(image), rest / size, 0.0)
        return basis.at[i + 1].set(unit, mode="drop"), images.at[i].set(image)

    basis, images = jax.lax.fori_loop(0, num, extend, (basis, jnp.zeros_like(basis)))
    projected = basis @ images.T
    used = jnp.linalg.norm(basis, axis=1) > 0
    values, vectors = jnp.linalg.eigh((projected + projected.T) / 2)
    # A space that closed early leaves zero rows, whose eigenvalue 0 is none of the Hessian's.
    real = jnp.sum(jnp.where(used[:, None], vectors**2, 0.0), axis=0) > 0.5
    return Curvature(
        jnp.min(jnp.where(real, values, jnp.inf)), jnp.max(jnp.where(real, values, -jnp.inf))
    )
