"""Policy gradient descent `K <- K - η ĝ(K)`, with any gradient and any step rule.

Source: arXiv 2303.08431, Algorithm 1 (`nlqr/linear-convergence`); the paper's step is fixed.
"""

from typing import Any, Literal, NamedTuple

import chex
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import check_positive
from fineq.errors import InputError
from fineq.iterate import Method, method, static
from fineq.nlqr.gradients import Estimator, Exact
from fineq.nlqr.gradients.info import check_gradient, draws
from fineq.nlqr.objective import expected_cost
from fineq.nlqr.policies import initial_policy
from fineq.nlqr.problem import Problem
from fineq.nlqr.reference import against
from fineq.optimiser import updated


class PolicyGradientState(NamedTuple):
    """The policy `K [p, n+d]` and the step rule's own state."""

    K: Array
    rule: Any


class PolicyGradientInfo(NamedTuple):
    """What the step saw at the policy it started from.

    Attributes:
        K: that policy, `[p, n+d]`.
        gradient_norm: Frobenius norm of the gradient or its estimate.
        cost: the cost that came with it.
    """

    K: Array
    gradient_norm: Array
    cost: Array


@method
class PolicyGradient(Method):
    """Policy gradient on a `fineq.nlqr.Problem`, `K <- K - η ĝ(K)`.

    It measures the exact `cost`, and `gradient_norm` of the last step; beside a reference (with K
    and cost) also `gap = (C - C*)/C*` and `distance = |K - K*|`, and with `keep_policy` K itself.

    Attributes:
        step_size: η.
        gradient: one of `fineq.nlqr.gradients`; `Natural()` makes it the natural policy gradient.
        radius: smoothing radius r of zeroth-order gradients, step of differences along coordinates.
        rule: `fixed` steps along the gradient, `adam` along Adam's direction for it.
        limit: a cost seen by the gradient beyond which the descent has diverged.
        tolerance: distance from the reference, where the last gradient was taken, at which it is
            done; None goes on for the whole budget.
        keep_policy: measure `policy` as well, `[p, n+d]` a record.
    """

    reads = ("K", "cost")

    step_size: Any
    gradient: Estimator = static(default=Exact())
    radius: Any = 0.1
    rule: Literal["fixed", "adam"] = static(default="fixed")
    limit: Any = jnp.inf
    tolerance: Any = None
    keep_policy: bool = static(default=False)

    def __post_init__(self) -> None:
        check_gradient(self.gradient)
        check_positive(step_size=self.step_size, radius=self.radius)
        step_rule(self.rule)

    @property
    def draws(self) -> bool:  # type: ignore[override]
        """Whether the gradient draws."""
        return draws(self.gradient)

    @property
    def stops(self) -> bool:
        """Whether there is a tolerance."""
        return self.tolerance is not None

    def init(
        self, key: Array | None, problem: Problem, start: ArrayLike | None
    ) -> PolicyGradientState:
        """At `start [p, n + d]`, or at K_lin."""
        del key
        K = initial_policy(problem, start)
        return PolicyGradientState(K, step_rule(self.rule).init(K))

    def step(
        self, key: Array | None, state: PolicyGradientState, problem: Problem
    ) -> tuple[PolicyGradientState, PolicyGradientInfo]:
        """Make one step."""
        K = state.K
        found = self.gradient(key, K, problem, jnp.asarray(self.radius, K.dtype))
        chex.assert_equal_shape([found.gradient, K])
        updates, rule = updated(step_rule(self.rule), found.gradient, state.rule)
        moved = K - jnp.asarray(self.step_size, K.dtype) * jnp.asarray(updates)
        info = PolicyGradientInfo(K, jnp.linalg.norm(found.gradient), found.cost)
        return PolicyGradientState(moved, rule), info

    def measure(
        self, state: PolicyGradientState, info: PolicyGradientInfo, problem: Problem, reference: Any
    ) -> dict[str, Array]:
        """See the class."""
        found = against(reference, state.K, expected_cost(state.K, problem))
        found["gradient_norm"] = info.gradient_norm
        return {**found, "policy": state.K} if self.keep_policy else found

    def done(
        self, state: PolicyGradientState, info: PolicyGradientInfo, problem: Problem, reference: Any
    ) -> Array:
        """Whether the policy whose gradient was seen is within `tolerance` of the reference's."""
        del state, problem
        if not self.stops:
            return jnp.bool_(False)
        if reference is None:
            raise InputError("tolerance is a distance from K*: give a reference, or no tolerance")
        return jnp.linalg.norm(info.K - reference.K) <= self.tolerance

    def diverged(
        self, state: PolicyGradientState, info: PolicyGradientInfo, problem: Problem
    ) -> Array:
        """Whether the new policy is not finite, or the cost it came from exceeds the limit."""
        del problem
        fine = jnp.isfinite(info.cost) & (info.cost <= self.limit)
        return ~jnp.all(jnp.isfinite(state.K)) | ~fine

    def value(self, state: PolicyGradientState, problem: Problem) -> Array:
        """K, `[p, n + d]`."""
        del problem
        return state.K


def step_rule(name: str) -> optax.GradientTransformation:
    """The direction of a unit step: the gradient itself, or Adam's. `InputError` for others."""
    if name not in ("fixed", "adam"):
        raise InputError(f"rule must be 'fixed' or 'adam', got {name!r}")
    return optax.scale_by_adam() if name == "adam" else optax.identity()
