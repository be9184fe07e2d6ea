"""Training neural costates: fitted policy iteration, and stochastic gradient ascent on J.

Both are kernels `(key, state, problem) -> (state, info)` for `fineq.iterate`, which keeps and
resumes them. They are close relatives. With a_{t+1} the `raw` target,

    -∇_θ J = E Σ_t (∇_θ c_t)' (S_t/β_t) (c_t - a_{t+1}),

which is the gradient of the regression loss ½ E Σ_t |c_t - a_{t+1}|²_{S/β} with the target held
fixed. Fitted iteration takes several steps on that loss for each batch of paths, and may use
targets of less noise. Source: arXiv 2412.18164 (`pift/parametric`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fineq.errors import InputError
from fineq.pift.parametric.network import NetworkCostate
from fineq.pift.parametric.paths import (
    Paths,
    Target,
    check_num_paths,
    gains,
    returns,
    rollout,
    scaled,
    simulate,
    targets,
)
from fineq.pift.problem import Problem


@dataclass(frozen=True)
class Optimiser:
    """AdamW with clipping by global norm, cosine decay and an average of the iterates.

    Attributes:
        learning_rate: at the start.
        num_steps: over which it decays to `final` times that; 0 keeps it.
        final: share of the learning rate at the end.
        weight_decay: of AdamW.
        clip: largest global norm of a gradient; 0 for no clipping.
        average: decay of the exponential moving average of the variables per step, at step n at
            most (1 + n)/(10 + n) so that the start is soon forgotten; 0 keeps the last ones alone.

    Raises:
        InputError: for numbers out of range.
    """

    learning_rate: float = 1e-3
    num_steps: int = 0
    final: float = 0.01
    weight_decay: float = 0.0
    clip: float = 1.0
    average: float = 0.99

    def __post_init__(self):
        if not self.learning_rate > 0:
            raise InputError(f"training.learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.average < 1:
            raise InputError(f"training.average must lie in [0, 1), got {self.average}")
        for name in ("num_steps", "weight_decay", "clip", "final"):
            if getattr(self, name) < 0:
                raise InputError(f"training.{name} must be at least 0, got {getattr(self, name)}")

    def transform(self) -> optax.GradientTransformation:
        """The transformation of gradients."""
        rate: Any = self.learning_rate
        if self.num_steps:
            rate = optax.cosine_decay_schedule(self.learning_rate, self.num_steps, self.final)
        adam = optax.adamw(rate, weight_decay=self.weight_decay)
        return optax.chain(optax.clip_by_global_norm(self.clip), adam) if self.clip else adam


class Training(NamedTuple):
    """What the next step needs.

    Attributes:
        costate: the policy that is simulated and trained.
        average: moving average of its variables: the policy to use.
        moments: of the optimiser.
        num_updates: steps of the optimiser so far, int32.
    """

    costate: NetworkCostate
    average: Any
    moments: Any
    num_updates: Array

    @property
    def policy(self) -> NetworkCostate:
        """The costate of the averaged variables."""
        return self.costate.holding(self.average)


class TrainingInfo(NamedTuple):
    """What one kernel step reports.

    Attributes:
        objective: mean return of the simulated policy.
        error: standard error of that mean.
        loss: regression loss before the last step (zero for `gradient_ascent`).
        norm: global norm of the last gradient, before clipping.
    """

    objective: Array
    error: Array
    loss: Array
    norm: Array


Kernel = Callable[[Array, Training, Problem], tuple[Training, TrainingInfo]]


def start(costate: NetworkCostate, optimiser: Optimiser) -> Training:
    """Training before its first step."""
    variables = costate.variables
    moments = optimiser.transform().init(variables)
    return Training(costate, variables, moments, jnp.zeros((), jnp.int32))


def loss(costate: NetworkCostate, times: Array, gain: Array, states: Array, wanted: Array) -> Array:
    """½ mean of |c_t(y) - a|²_{S/β} over rows: times `[M]`, gain `[M, ...]`, the rest `[M, d]`."""
    apart = jax.vmap(costate)(times, states) - wanted
    return jnp.mean(jnp.sum(apart * jax.vmap(scaled)(gain, apart), axis=-1)) / 2


def _update(optimiser: Optimiser, state: Training, gradient: Any) -> Training:
    variables = state.costate.variables
    step, moments = optimiser.transform().update(gradient, state.moments, variables)
    variables = optax.apply_updates(variables, step)
    n = jnp.asarray(state.num_updates, jax.tree.leaves(variables)[0].dtype)
    decay = jnp.minimum(optimiser.average, (1 + n) / (10 + n)) if optimiser.average else 0.0
    average = optax.incremental_update(variables, state.average, 1 - decay)
    return Training(state.costate.holding(variables), average, moments, state.num_updates + 1)


def _info(gained: Array, value: Array, gradient: Any) -> TrainingInfo:
    error = jnp.std(gained) / jnp.sqrt(gained.shape[0])
    return TrainingInfo(jnp.mean(gained), error, value, optax.tree.norm(gradient))


def fit(
    key: Array,
    state: Training,
    problem: Problem,
    paths: Paths,
    wanted: Array,
    optimiser: Optimiser,
    num_batches: int,
) -> tuple[Training, Array, Any]:
    """One pass over all (t, path) pairs in random batches: state, last loss and last gradient."""
    T, N, d = wanted.shape
    size = T * N // num_batches
    order = jax.random.permutation(key, T * N)[: num_batches * size].reshape(num_batches, size)
    states, flat = paths.states[:-1].reshape(T * N, d), wanted.reshape(T * N, d)
    gain = gains(problem)

    def step(carry: tuple, rows: Array) -> tuple[tuple, None]:
        state = carry[0]
        times = rows // N

        def of(variables: Any) -> Array:
            costate = state.costate.holding(variables)
            return T * loss(costate, times, gain[times], states[rows], flat[rows])

        value, gradient = jax.value_and_grad(of)(state.costate.variables)
        return (_update(optimiser, state, gradient), value, gradient), None

    blank = (jnp.zeros((), wanted.dtype), jax.tree.map(jnp.zeros_like, state.costate.variables))
    return lax.scan(step, (state, *blank), order)[0]


def fitted_iteration(
    num_paths: int,
    optimiser: Optimiser,
    *,
    target: Target = "quiet",
    num_batches: int = 8,
    num_passes: int = 1,
) -> Kernel:
    """PI-FT sweeps: simulate the policy, then regress on its targets by AdamW.

    Args:
        num_paths: simulated for each sweep.
        optimiser: of the regression.
        target: see `fineq.pift.parametric.paths`.
        num_batches: steps in one pass over the pairs (t, Y_t), each on a random part of them.
        num_passes: over the same targets.

    Raises:
        InputError: for fewer than one path, batch or pass.
    """
    check_num_paths(num_paths)
    for name, value in (("num_batches", num_batches), ("num_passes", num_passes)):
        if value < 1:
            raise InputError(f"training.{name} must be at least 1, got {value}")

    def kernel(key: Array, state: Training, problem: Problem) -> tuple[Training, TrainingInfo]:
        key_paths, key_order = jax.random.split(key)
        paths = simulate(key_paths, problem, state.costate, num_paths)
        wanted = targets(problem, state.costate, paths, target)

        def one(carry: tuple, key: Array) -> tuple[tuple, None]:
            return fit(key, carry[0], problem, paths, wanted, optimiser, num_batches), None

        blank = (jnp.zeros((), wanted.dtype), jax.tree.map(jnp.zeros_like, state.costate.variables))
        keys = jax.random.split(key_order, num_passes)
        (state, value, gradient), _ = lax.scan(one, (state, *blank), keys)
        return state, _info(returns(problem, paths), value, gradient)

    return kernel


def gradient_ascent(num_paths: int, optimiser: Optimiser, num_batches: int = 1) -> Kernel:
    """Stochastic gradient ascent on J, differentiated through the simulation.

    In the stochastic control literature this is the relative entropy loss.

    Args:
        num_paths: simulated for each kernel step.
        optimiser: of the ascent.
        num_batches: gradient steps of each kernel step, each on an equal part of the paths.

    Raises:
        InputError: for fewer than one path or batch, or fewer paths than batches.
    """
    check_num_paths(num_paths)
    if not 1 <= num_batches <= num_paths:
        raise InputError(
            f"training.num_batches must lie between 1 and the number of paths, {num_paths}, "
            f"got {num_batches}"
        )
    size = num_paths // num_batches

    def step(state: Training, problem: Problem, key: Array) -> tuple[Training, TrainingInfo]:
        key_start, key_noise = jax.random.split(key)
        y0 = problem.chain.start.sample(key_start, size)
        z = jax.random.normal(key_noise, (problem.num_steps, size, problem.d), y0.dtype)
        negative = partial(_negative, state.costate, problem, y0, z)
        (_, gained), gradient = jax.value_and_grad(negative, has_aux=True)(state.costate.variables)
        info = _info(gained, jnp.zeros((), y0.dtype), gradient)
        return _update(optimiser, state, gradient), info

    def kernel(key: Array, state: Training, problem: Problem) -> tuple[Training, TrainingInfo]:
        if num_batches == 1:
            return step(state, problem, key)
        keys = jax.random.split(key, num_batches)
        state, infos = lax.scan(lambda s, k: step(s, problem, k), state, keys)
        # Variables move between batches: the last one belongs to the policy that comes out.
        return state, jax.tree.map(lambda x: x[-1], infos)

    return kernel


def _negative(
    costate: NetworkCostate, problem: Problem, y0: Array, z: Array, variables: Any
) -> tuple[Array, Array]:
    gained = returns(problem, rollout(problem, costate.holding(variables), y0, z))
    return -jnp.mean(gained), gained
