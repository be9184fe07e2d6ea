"""Training neural costates: fitted policy iteration, and stochastic gradient ascent on J.

Both are methods of `fineq.solve`, and close relatives. With a_{t+1} the `raw` target,

    -∇_θ J = E Σ_t (∇_θ c_t)' (S_t/β_t) (c_t - a_{t+1}),

which is the gradient of the regression loss ½ E Σ_t |c_t - a_{t+1}|²_{S/β} with the target held
fixed. Fitted iteration takes several steps on that loss for each batch of paths, and may use
targets of less noise. Source: arXiv 2412.18164 (`pift/parametric`).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from fineq.errors import InputError
from fineq.iterate import Method, method, static
from fineq.optimiser import Descent, Optimiser
from fineq.pift.doors import expect
from fineq.pift.parametric.features import standard_scale
from fineq.pift.parametric.networks import NetworkCostate, network
from fineq.pift.parametric.paths import (
    Paths,
    Target,
    check_num_paths,
    check_target,
    gains,
    returns,
    rollout,
    scaled,
    simulate,
    targets,
)
from fineq.pift.problem import Problem


class Training(NamedTuple):
    """What the next step needs.

    Attributes:
        network: the costate without its variables.
        descent: of the variables.
    """

    network: NetworkCostate
    descent: Descent

    @property
    def costate(self) -> NetworkCostate:
        """The policy that is simulated and trained."""
        return self.network.holding(self.descent.variables)

    @property
    def policy(self) -> NetworkCostate:
        """The costate of the averaged variables: the policy to use."""
        return self.network.holding(self.descent.average)


class TrainingInfo(NamedTuple):
    """What one step reports.

    Attributes:
        objective: mean return of the simulated policy.
        error: standard error of that mean.
        loss: regression loss before the last step (zero for `NetworkAscent`).
        norm: global norm of the last gradient, before clipping.
    """

    objective: Array
    error: Array
    loss: Array
    norm: Array


def begin(costate: NetworkCostate, optimiser: Optimiser) -> Training:
    """Training before its first step."""
    return Training(costate.holding(None), optimiser.begin(costate.variables))


def loss(costate: NetworkCostate, times: Array, gain: Array, states: Array, wanted: Array) -> Array:
    """½ mean of |c_t(y) - a|²_{S/β} over rows: times `[M]`, gain `[M, ...]`, the rest `[M, d]`."""
    apart = jax.vmap(costate)(times, states) - wanted
    return jnp.mean(jnp.sum(apart * jax.vmap(scaled)(gain, apart), axis=-1)) / 2


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
        descent = optimiser.update(state.descent, gradient)
        return (state._replace(descent=descent), value, gradient), None

    blank = (jnp.zeros((), wanted.dtype), jax.tree.map(jnp.zeros_like, state.costate.variables))
    return lax.scan(step, (state, *blank), order)[0]


@method
class NetworkTraining(Method):
    """What both ways to train a network share.

    Measured: `last_objective`, J of the policy that the last step began with, estimated from its
    paths, and `standard_error` of that; `loss` and `norm`, see `TrainingInfo`. With a
    `fineq.pift.Reference` also `error`, the control error of the averaged policy.

    Attributes:
        num_paths: simulated for each step.
        optimiser: of the variables.
        num_batches: updates made of the paths of one step.
        width, depth: of the network where no start is given.
    """

    draws = True
    reads = ("errors",)

    num_paths: int = static()
    optimiser: Optimiser = static(default=Optimiser())
    num_batches: int = static(default=8)
    width: int = static(default=64)
    depth: int = static(default=2)

    def __post_init__(self) -> None:
        check_num_paths(self.num_paths)
        check_counts(num_batches=self.num_batches)

    def init(self, key: Array | None, problem: Problem, start: NetworkCostate | None) -> Training:
        """Before the first update of the network `start`, or of a new one from c = 0."""
        expect(self, problem, Problem, "make_problem")
        if start is None:
            assert key is not None
            key_scale, key_network = jax.random.split(key)
            scale = standard_scale(key_scale, problem)
            start = network(key_network, scale, width=self.width, depth=self.depth)
        return begin(start, self.optimiser)

    def measure(
        self, state: Training, info: TrainingInfo, problem: Problem, reference: Any
    ) -> dict[str, Array]:
        """What the step reported, and the error of the averaged policy."""
        found = {
            "last_objective": info.objective,
            "standard_error": info.error,
            "loss": info.loss,
            "norm": info.norm,
        }
        return found if reference is None else {**found, **reference.errors(problem, state.policy)}

    def value(self, state: Training, problem: Problem) -> NetworkCostate:
        """The costate of the averaged variables."""
        del problem
        return state.policy


@method
class NetworkSweeps(NetworkTraining):
    """PI-FT by whole sweeps with a network: simulate, then regress on the targets by AdamW.

    Attributes:
        num_paths, optimiser, num_batches, width, depth: see `NetworkTraining`; a batch is a random
            part of the pairs (t, Y_t).
        target: see `fineq.pift.parametric.paths`.
        num_passes: over the same targets.

    Raises:
        InputError: for fewer than one path, batch or pass, or an unknown target.
    """

    target: Target = static(default="quiet")
    num_passes: int = static(default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_target(self.target)
        check_counts(num_passes=self.num_passes)

    def step(
        self, key: Array | None, state: Training, problem: Problem
    ) -> tuple[Training, TrainingInfo]:
        """One sweep."""
        assert key is not None
        key_paths, key_order = jax.random.split(key)
        paths = simulate(key_paths, problem, state.costate, self.num_paths)
        wanted = targets(problem, state.costate, paths, self.target)

        def one(carry: tuple, key: Array) -> tuple[tuple, None]:
            state = carry[0]
            return fit(key, state, problem, paths, wanted, self.optimiser, self.num_batches), None

        blank = (jnp.zeros((), wanted.dtype), jax.tree.map(jnp.zeros_like, state.costate.variables))
        keys = jax.random.split(key_order, self.num_passes)
        (state, value, gradient), _ = lax.scan(one, (state, *blank), keys)
        return state, _info(returns(problem, paths), value, gradient)


@method
class NetworkAscent(NetworkTraining):
    """Stochastic gradient ascent on J with a network, differentiated through the simulation.

    In the stochastic control literature this is the relative entropy loss.

    Attributes:
        num_paths, optimiser, width, depth: see `NetworkTraining`.
        num_batches: gradient steps of each step, each on an equal part of the paths.

    Raises:
        InputError: for fewer than one path or batch, or fewer paths than batches.
    """

    num_batches: int = static(default=1)

    def __post_init__(self) -> None:
        check_num_paths(self.num_paths)
        if not 1 <= self.num_batches <= self.num_paths:
            raise InputError(
                "training.num_batches must lie between 1 and the number of paths, "
                f"{self.num_paths}, got {self.num_batches}"
            )

    def step(
        self, key: Array | None, state: Training, problem: Problem
    ) -> tuple[Training, TrainingInfo]:
        """As many gradient steps as there are batches; the info is of the last."""
        assert key is not None
        if self.num_batches == 1:
            return self._gradient_step(state, problem, key)
        keys = jax.random.split(key, self.num_batches)
        state, infos = lax.scan(lambda s, k: self._gradient_step(s, problem, k), state, keys)
        # Variables move between batches: the last one belongs to the policy that comes out.
        return state, jax.tree.map(lambda x: x[-1], infos)

    def _gradient_step(
        self, state: Training, problem: Problem, key: Array
    ) -> tuple[Training, TrainingInfo]:
        size = self.num_paths // self.num_batches
        key_start, key_noise = jax.random.split(key)
        y0 = problem.chain.start.sample(key_start, size)
        z = jax.random.normal(key_noise, (problem.num_steps, size, problem.d), y0.dtype)
        negative = partial(_negative, state.costate, problem, y0, z)
        (_, gained), gradient = jax.value_and_grad(negative, has_aux=True)(state.costate.variables)
        info = _info(gained, jnp.zeros((), y0.dtype), gradient)
        descent = self.optimiser.update(state.descent, gradient)
        return state._replace(descent=descent), info


def check_counts(**counts: int) -> None:
    """Raise `InputError` for a count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"training.{name} must be at least 1, got {value}")


def _negative(
    costate: NetworkCostate, problem: Problem, y0: Array, z: Array, variables: Any
) -> tuple[Array, Array]:
    gained = returns(problem, rollout(problem, costate.holding(variables), y0, z))
    return -jnp.mean(gained), gained
