"""Programs that fit parametrised controls sweep by sweep, measured against references."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.pift.parametric import linear, training
from fineq.pift.parametric.error import Reference
from fineq.pift.parametric.features import Features, Scale
from fineq.pift.parametric.network import network
from fineq.pift.problem import Problem
from fineq.pift.standard_problems import as_dtype
from fineq.sweep import Program
from fineq.sweep.stages import Member


class Facing(NamedTuple):
    """The problem of a sweep.

    Attributes:
        problem: the control problem.
        references: what controls are compared with, by the name of the metric.
        unit: of the errors.
        scale: standardises the states.
        known: numbers of the member that are recorded as they are.
    """

    problem: Problem
    references: dict[str, Reference]
    unit: Array
    scale: Scale
    known: dict[str, Array] = {}  # noqa: RUF012

    def errors(self, costate: Any) -> dict[str, Array]:
        """Control errors by the name of the reference."""
        return {
            name: reference.error(self.problem, costate) / self.unit
            for name, reference in self.references.items()
        }


Face = Callable[[Member], Facing]


def linear_program(
    face: Face,
    features: Callable[[Array, Facing], Features],
    step: linear.LinearKernel,
    num_sweeps: int,
    known: Callable[[Features, Facing], Mapping[str, Array]] = lambda features, facing: {},
) -> Program:
    """Linear controls from the pre-trained policy: errors and `value` of every sweep.

    Args:
        face: from a member to its problem.
        features: from a key and the problem.
        step: the kernel, see `fineq.pift.parametric.linear.fitted_iteration`.
        num_sweeps: of the kernel.
        known: more numbers to record, computed once.
    """

    def init(key: Array, member: Member) -> tuple[linear.LinearCostate, Facing]:
        facing = face(member)
        made = features(key, facing)
        facing = facing._replace(known={**facing.known, **known(made, facing)})
        return linear.start(facing.problem, made), facing

    return _program(init, step, lambda state: state, num_sweeps)


class Net(NamedTuple):
    """A network and how it is trained.

    Attributes:
        width, depth, activation: of the network.
        num_paths: simulated for each sweep.
        num_sweeps: in all.
        num_batches: gradient steps of one pass over a sweep's pairs (t, Y_t).
        num_passes: over the pairs of a sweep.
        learning_rate: of AdamW, at the start; it decays as a cosine to a hundredth.
        target: of the regression.
    """

    width: int
    depth: int
    num_paths: int
    num_sweeps: int
    num_batches: int
    num_passes: int = 1
    learning_rate: float = 3e-3
    target: Any = "quiet"
    activation: str = "silu"

    def optimiser(self, steps: int) -> training.Optimiser:
        """AdamW over a number of gradient steps in each sweep."""
        return training.Optimiser(self.learning_rate, num_steps=self.num_sweeps * steps)

    def fitted(self) -> tuple[training.Kernel, training.Optimiser]:
        """PI-FT: regression on simulated value gradients."""
        optimiser = self.optimiser(self.num_batches * self.num_passes)
        kernel = training.fitted_iteration(
            self.num_paths,
            optimiser,
            target=self.target,
            num_batches=self.num_batches,
            num_passes=self.num_passes,
        )
        return kernel, optimiser

    def ascent(self) -> tuple[training.Kernel, training.Optimiser]:
        """Stochastic gradient ascent on J with as many paths a sweep, in as many batches."""
        optimiser = self.optimiser(self.num_batches)
        return training.gradient_ascent(self.num_paths, optimiser, self.num_batches), optimiser


def network_program(
    face: Face, net: Net, made: tuple[training.Kernel, training.Optimiser]
) -> Program:
    """A network from the pre-trained policy, in float32: errors and `value` of every sweep.

    Args:
        face: from a member to its problem.
        net: the network.
        made: kernel and optimiser, `net.fitted()` or `net.ascent()`.
    """
    kernel, optimiser = made

    def init(key: Array, member: Member) -> tuple[training.Training, Facing]:
        facing = as_dtype(face(member), jnp.float32)
        shape = {"width": net.width, "depth": net.depth, "activation": net.activation}
        costate = network(key, facing.scale, **shape)
        return training.start(costate, optimiser), facing

    return _program(init, kernel, lambda state: state.policy, net.num_sweeps)


def _program(init: Callable, step: Callable, policy: Callable, num_sweeps: int) -> Program:
    def kernel(key: Array, state: Any, problem: Facing) -> tuple[Any, Any]:
        return step(key, state, problem.problem)

    def metrics(state: Any, info: Any, problem: Facing) -> dict[str, Array]:
        return {**problem.errors(policy(state)), **problem.known, "value": info.objective}

    record = list(range(num_sweeps + 1))
    return Program(init, kernel, num_steps=num_sweeps, metrics=metrics, record=record)
