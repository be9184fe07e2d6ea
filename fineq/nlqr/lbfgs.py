"""L-BFGS on the cost of a policy, and what certifies where it ended without a dense Hessian.

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
from jax.typing import ArrayLike

from fineq.iterate import Method, method, static
from fineq.nlqr.landscape import Curvature
from fineq.nlqr.objective import Objective, expected_cost
from fineq.nlqr.policies import initial_policy
from fineq.nlqr.reference import against
from fineq.optimiser import updated

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


@method
class LBFGS(Method):
    """L-BFGS on a cost: directions and the strong Wolfe line search are those of `optax.lbfgs`.

    It measures `cost`, `decrement` (an estimate, over the cost) and `step`, beside a reference also
    `gap` and `distance`; with `certify` the decrement is measured anew, and `mu` and `h` with it.

    Attributes:
        tolerance: relative decrement, as estimated, at which it is done; None goes on for the whole
            budget. The estimate is often too low.
        objective: `(K, problem) -> scalar`, differentiable; default the cost of a `Problem`.
        certify: measure decrement, μ and h by products with the Hessian, some hundred a record.
    """

    reads = ("K", "cost")

    tolerance: Any = None
    objective: Objective = static(default=expected_cost)
    certify: bool = static(default=False)

    @property
    def stops(self) -> bool:
        """Whether there is a tolerance."""
        return self.tolerance is not None

    def init(self, key: Array | None, problem: Any, start: ArrayLike | None) -> LbfgsState:
        """At `start [p, n + d]`, or at K_lin."""
        del key
        K = initial_policy(problem, start)
        return LbfgsState(K, self.objective(K, problem), _optimiser().init(K))

    def step(
        self, key: Array | None, state: LbfgsState, problem: Any
    ) -> tuple[LbfgsState, LbfgsInfo]:
        """Make one step along the direction of L-BFGS."""
        del key

        def value(K: Array) -> Array:
            # The line search of optax goes on in float64 where JAX has it.
            cost = self.objective(K.astype(state.K.dtype), problem)
            return jnp.where(jnp.isfinite(cost), cost, jnp.inf)

        cost, gradient = jax.value_and_grad(value)(state.K)
        given = {"value": cost, "grad": gradient, "value_fn": value}
        found = updated(_optimiser(), gradient, state.optimiser, state.K, **given)
        moved, inner = cast("tuple[Array, Any]", found)
        length = optax.tree_utils.tree_get(inner, "learning_rate")
        length = jnp.maximum(length, jnp.finfo(cost.dtype).tiny)
        decrement = jnp.abs(jnp.vdot(gradient, moved)) / (2 * length)
        K = state.K + moved
        info = LbfgsInfo(decrement, decrement / cost, length)
        return LbfgsState(K, value(K), inner), info

    def measure(
        self, state: LbfgsState, info: LbfgsInfo, problem: Any, reference: Any
    ) -> dict[str, Array]:
        """See the class."""
        known = against(reference, state.K, state.cost)
        if not self.certify:
            return {**known, "decrement": info.relative_decrement, "step": info.step}
        found = extreme_curvature(self.objective, jax.random.key(0), state.K, problem)
        decrement = newton_decrement(self.objective, state.K, problem) / state.cost
        seen = {"decrement": jnp.abs(decrement), "mu": found.mu, "h": found.h, "step": info.step}
        return {**known, **seen}

    def done(self, state: LbfgsState, info: LbfgsInfo, problem: Any, reference: Any) -> Array:
        """Whether the relative decrement, as estimated, has fallen to the tolerance."""
        del state, problem, reference
        return info.relative_decrement <= self.tolerance if self.stops else jnp.bool_(False)

    def value(self, state: LbfgsState, problem: Any) -> Array:
        """K, `[p, n + d]`."""
        del problem
        return state.K


def _optimiser() -> Any:
    return optax.lbfgs(memory_size=MEMORY)


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
