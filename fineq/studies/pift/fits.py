"""Programs that fit parametrised controls sweep by sweep, measured against references."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq import sweep
from fineq.optimiser import Optimiser
from fineq.pift.parametric import linear, training
from fineq.pift.parametric.error import Reference
from fineq.pift.parametric.features import Features, Scale
from fineq.pift.parametric.networks import network
from fineq.pift.problem import Problem
from fineq.pift.standard_problems import as_dtype
from fineq.sweep.stages import Member


class Facing(NamedTuple):
    """A problem, and what controls for it are measured against: a method's reference.

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

    def errors(self, problem: Problem, costate: Any) -> dict[str, Array]:
        """Control errors in their unit by the name of the reference, and what is known."""
        found = {
            name: reference.error(problem, costate) / self.unit
            for name, reference in self.references.items()
        }
        return {**found, **self.known}


Face = Callable[[Member], Facing]


def linear_program(
    face: Face,
    features: Callable[[Array, Facing], Features],
    by: linear.LinearSweeps,
    num_sweeps: int,
    known: Callable[[Features, Facing], Mapping[str, Array]] = lambda features, facing: {},
) -> sweep.Program:
    """Linear controls from the pre-trained policy, measured after every sweep.

    Args:
        face: from a member to its problem.
        features: from a key and the problem.
        by: the method.
        num_sweeps: of the method.
        known: more numbers to record, computed once.
    """

    def make(key: Array, member: Member) -> sweep.Task:
        facing = face(member)
        made = features(key, facing)
        facing = facing._replace(known={**facing.known, **known(made, facing)})
        return sweep.Task(facing.problem, by, linear.start(facing.problem, made), facing)

    return _program(make, num_sweeps)


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

    def optimiser(self, steps: int) -> Optimiser:
        """AdamW over a number of gradient steps in each sweep."""
        return Optimiser(self.learning_rate, num_steps=self.num_sweeps * steps)

    def fitted(self) -> training.NetworkSweeps:
        """PI-FT: regression on simulated value gradients."""
        return training.NetworkSweeps(
            num_paths=self.num_paths,
            optimiser=self.optimiser(self.num_batches * self.num_passes),
            num_batches=self.num_batches,
            target=self.target,
            num_passes=self.num_passes,
        )

    def ascent(self) -> training.NetworkAscent:
        """Stochastic gradient ascent on J with as many paths a sweep, in as many batches."""
        return training.NetworkAscent(
            self.num_paths, self.optimiser(self.num_batches), self.num_batches
        )


def network_program(face: Face, net: Net, by: training.NetworkTraining) -> sweep.Program:
    """A network from the pre-trained policy, in float32, measured after every sweep.

    Args:
        face: from a member to its problem.
        net: the network.
        by: the method, `net.fitted()` or `net.ascent()`.
    """

    def make(key: Array, member: Member) -> sweep.Task:
        facing = as_dtype(face(member), jnp.float32)
        shape = {"width": net.width, "depth": net.depth, "activation": net.activation}
        return sweep.Task(facing.problem, by, network(key, facing.scale, **shape), facing)

    return _program(make, net.num_sweeps)


def _program(make: Callable[[Array, Member], sweep.Task], num_sweeps: int) -> sweep.Program:
    return sweep.solving(make, num_steps=num_sweeps, record=list(range(num_sweeps + 1)))
