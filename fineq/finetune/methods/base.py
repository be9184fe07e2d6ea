"""What all ways to train adapters share: the state, the optimiser, what is measured, the count."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fineq.ddpm import Denoiser
from fineq.errors import InputError
from fineq.finetune.adapters import Adapters, adapted, make_adapters
from fineq.finetune.low_rank import factored
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Earned
from fineq.iterate import Method, method, static
from fineq.optimiser import Descent, Optimiser
from fineq.pift.doors import expect
from fineq.pift.parametric.training import check_counts

TWO_HUNDRED = Optimiser(learning_rate=3e-3, num_steps=200, average=0.0)
"""AdamW at 3e-3 with cosine decay over 200 updates and gradients clipped at norm 1."""


class Info(NamedTuple):
    """What one step reports of the policy it began with.

    Attributes:
        objective: mean of reward less β times divergence over its paths.
        error: standard error of that.
        reward: mean reward.
        divergence: mean Σ_t KL_t in nats.
        norm: global norm of the step's last gradient, before clipping.
    """

    objective: Array
    error: Array
    reward: Array
    divergence: Array
    norm: Array


@method
class AdapterTraining(Method):
    """Training of low-rank adapters on simulated paths; its value are the adapters.

    Measured, of the policy that the last step began with and from its paths: `last_objective`,
    `standard_error` of that, `last_reward`, `last_divergence`; and the `norm` of the gradient.

    Attributes:
        num_paths: simulated for each step.
        rank: of new adapters.
        optimiser: of the adapters; its `num_steps` counts updates.
    """

    draws = True
    reads = ("errors",)

    num_paths: int = static(default=10)
    rank: int = static(default=4)
    optimiser: Optimiser = static(default=TWO_HUNDRED)

    def __post_init__(self) -> None:
        check_counts(num_paths=self.num_paths, rank=self.rank)

    def init(self, key: Array | None, problem: Tuning, start: Adapters | None) -> Descent:
        """Before the first update of the adapters `start`, or of new ones that change nothing.

        Raises:
            InputError: for a problem of another form, and a rank that no layer has.
        """
        expect(self, problem, Tuning, "make_tuning")
        if start is None:
            if key is None:
                raise InputError(f"{type(self).__name__} draws its adapters: give a key, or start")
            start = make_adapters(key, problem.base.variables, self.rank)
        return self.optimiser.begin(start)

    def measure(
        self, state: Descent, info: Info, problem: Tuning, reference: Any
    ) -> dict[str, Array]:
        """What the step reported; with a `Reference` also `error`, of the averaged policy."""
        found = {
            "last_objective": info.objective,
            "standard_error": info.error,
            "last_reward": info.reward,
            "last_divergence": info.divergence,
            "norm": info.norm,
        }
        if reference is None:
            return found
        return {**found, **reference.errors(problem, adapted(problem.base, state.average))}

    def value(self, state: Descent, problem: Tuning) -> Adapters:
        """The adapters, averaged where the optimiser averages."""
        del problem
        return state.average

    def evaluations(self, problem: Tuning) -> float:
        """Network evaluations in one step, over its paths times T.

        A forward pass counts 1, and so does each derivative taken of it: by the state, or by the
        weights. A whole backward pass counts 2. `num_paths`, T and this number make methods
        comparable at equal work.
        """
        raise NotImplementedError

    def ascend(
        self,
        state: Descent,
        problem: Tuning,
        gained: Callable[[Denoiser], tuple[Array, Earned]],
    ) -> tuple[Descent, Info]:
        """One update up the mean of what a policy's paths gain, `[B]`."""

        def loss(variables: Adapters) -> tuple[Array, Earned]:
            gain, found = gained(factored(problem.base, variables))
            return -jnp.mean(gain), found

        gradient, found = jax.grad(loss, has_aux=True)(state.variables)
        state = self.optimiser.update(state, gradient)
        return state, info_of(problem, found, optax.tree.norm(gradient))

    def descend(
        self, state: Descent, problem: Tuning, loss: Callable[[Denoiser], Array], num: int = 1
    ) -> tuple[Descent, Array]:
        """`num` updates down a loss of the policy, and the norm of the last gradient."""

        def update(state: Descent, _: None) -> tuple[Descent, Array]:
            gradient = jax.grad(lambda a: loss(factored(problem.base, a)))(state.variables)
            return self.optimiser.update(state, gradient), optax.tree.norm(gradient)

        # Outside a loop XLA computes the gradients of weights faster.
        if num == 1:
            return update(state, None)
        state, norms = lax.scan(update, state, length=num)
        return state, norms[-1]


def policy_of(state: Descent, problem: Tuning) -> Denoiser:
    """The policy that is trained."""
    return adapted(problem.base, state.variables)


def info_of(problem: Tuning, found: Earned, norm: Array) -> Info:
    """What a step reports, of what its paths earned."""
    gained = found.objective(problem.beta)
    error = jnp.std(gained) / jnp.sqrt(gained.size)
    return Info(jnp.mean(gained), error, jnp.mean(found.reward), jnp.mean(found.divergence), norm)


def check_share(**shares: Any) -> None:
    """Raise `InputError` for a concrete number outside (0, 1]."""
    for name, value in shares.items():
        if isinstance(value, int | float) and not 0 < value <= 1:
            raise InputError(f"training.{name} must lie in (0, 1], got {value}")
