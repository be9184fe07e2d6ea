"""PI-FT backwards in t with linear features: at each t alone, with inner fits.

Source: arXiv 2412.18164 (`pift/parametric`).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.iterate import Method, method, static
from fineq.pift.doors import expect
from fineq.pift.parametric.features import Features
from fineq.pift.parametric.linear import LinearCostate, begun, least_squares_each
from fineq.pift.parametric.paths import Target, check_num_paths, check_target, simulate, targets
from fineq.pift.problem import Problem
from fineq.pift.rule import check_inner


class LinearBackward(NamedTuple):
    """Where the backward recursion stands.

    Attributes:
        t: the step that has just been fitted, int32; T before the first.
        costate: fitted from t on, and before t that of the start.
    """

    t: Array
    costate: LinearCostate


class At(NamedTuple):
    """Features of one step t, whatever step they are asked for."""

    features: Features
    step: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """φ of that step."""
        del t
        return self.features(self.step, y)


@method
class LinearNested(Method):
    """PI-FT as the paper's algorithm has it: a step goes one t back, with n inner fits there.

    Each inner fit simulates the whole policy and regresses the target of step t alone, so that n T
    simulations make the whole run; sweeps, which use every step of their paths, need fewer.

    Measured: `t`, and `residual`, the root mean square that the last fit leaves; with a
    `fineq.pift.Reference` also `error`, the control error of the policy so far.

    Attributes:
        num_paths: simulated for each inner fit.
        num_inner: n.
        features: of the costate; None: those of the start.
        target: see `fineq.pift.parametric.paths`.

    Raises:
        InputError: for fewer than one path or inner fit, or an unknown target.
    """

    draws = True
    reads = ("errors",)

    num_paths: int = static()
    num_inner: int = static()
    features: Any = None
    target: Target = static(default="landing")

    def __post_init__(self) -> None:
        check_num_paths(self.num_paths)
        check_inner(self.num_inner, "plain")
        check_target(self.target)

    def init(
        self, key: Array | None, problem: Problem, start: LinearCostate | None
    ) -> LinearBackward:
        """Before the last step, at the costate `start`, or zero: the pre-trained policy."""
        del key
        expect(self, problem, Problem, "make_problem")
        costate = begun(problem, self.features, start)
        return LinearBackward(jnp.int32(problem.num_steps), costate)

    def step(
        self, key: Array | None, state: LinearBackward, problem: Problem
    ) -> tuple[LinearBackward, Array]:
        """The inner fits at t - 1; the info is the residual of the last one."""
        assert key is not None
        t = state.t - 1

        def inner(costate: LinearCostate, key: Array) -> tuple[LinearCostate, Array]:
            paths = simulate(key, problem, costate, self.num_paths)
            wanted = targets(problem, costate, paths, self.target)[t][None]
            fit = least_squares_each(At(costate.features, t), paths.states[t][None], wanted)
            coefficients = costate.coefficients.at[t].set(fit.coefficients[0])
            residual = jnp.sqrt(jnp.mean(fit.residuals**2))
            return LinearCostate(costate.features, coefficients), residual

        keys = jax.random.split(key, self.num_inner)
        costate, residuals = lax.scan(inner, state.costate, keys)
        return LinearBackward(t, costate), residuals[-1]

    def measure(
        self, state: LinearBackward, info: Array, problem: Problem, reference: Any
    ) -> dict[str, Array]:
        """What the last fit left, and the error of the policy."""
        found = {"t": state.t, "residual": info}
        return found if reference is None else {**found, **reference.errors(problem, state.costate)}

    def done(self, state: LinearBackward, info: Any, problem: Problem, reference: Any) -> Array:
        """The first step of the chain has been fitted."""
        del info, problem, reference
        return state.t == 0

    def value(self, state: LinearBackward, problem: Problem) -> LinearCostate:
        """The costate."""
        del problem
        return state.costate
