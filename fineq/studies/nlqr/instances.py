"""From a configuration and a member of a sweep to a problem; pure, so a batch is one program."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.errors import InputError
from fineq.keys import key_for
from fineq.nlqr import features, laws, policies
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.problem import Features, InitialLaw, Problem, System
from fineq.nlqr.random_systems import random_system
from fineq.settings.fields import replace_at
from fineq.studies.nlqr.config import NlqrConfig
from fineq.traced import traced

# Draws that stand for a law without a quadrature rule (n > 3): Monte Carlo error 1/√256 = 6%.
NUM_DRAWN_POINTS = 256
EXTRA_SAMPLES = 16  # beyond the n + p + d unknowns: hardly a system is then left unidentified


class Given(NamedTuple):
    """What the user brought: a checked system, a law of weighted points, a kernel; each or None."""

    system: System | None = None
    law: laws.Points | None = None
    function: Callable[[Array], Array] | None = None


class Instance(NamedTuple):
    """One member's problem.

    Attributes:
        problem: the system, the law that rollouts sample from, and weighted points that stand for
            it wherever an expectation is computed; without a horizon.
        K_lin: the linear policy `[p, n+d]`.
        P: the Riccati solution `[n, n]` behind it.
        solved: whether the Riccati equation behind K_lin was solved.
        key: of the member's seed; what is drawn from it names its purpose.
        K_identified: the linear policy of the identified system, NaN where the samples do not
            determine one; None unless `descent.start=identified`.
    """

    problem: Problem
    K_lin: Array
    P: Array
    solved: Array
    key: Array
    K_identified: Array | None = None

    @property
    def points(self) -> laws.Points:
        """The weighted points."""
        assert self.problem.points is not None
        return self.problem.points

    def at_horizon(self, horizon: int) -> Problem:
        """The problem of minimising the cost of `horizon` steps."""
        return replace(self.problem, horizon=horizon)


def num_features(config: NlqrConfig, given: Given, n: int) -> int:
    """The number of features where no plant fixes it: as configured, as returned, or n."""
    if config.kernel.d is not None or given.function is None:
        return config.kernel.d or n
    state = jax.ShapeDtypeStruct((n,), _dtype(config))
    shape = traced(f"kernel.target={config.kernel.target}", given.function, state, "state", 2).shape
    if len(shape) != 1:
        raise InputError(
            f"kernel.target={config.kernel.target} must return a vector, got shape {shape}"
        )
    return shape[0]


def make_features(
    config: NlqrConfig, given: Given, n: int | None = None, d: int | None = None
) -> Features:
    """The kernel φ named by the configuration.

    Args:
        config: validated.
        given: what the user brought.
        n: number of states; default that of `given` or of the configuration.
        d: number of features; likewise.

    Raises:
        InputError: when d does not fit the kernel.
    """
    system = given.system
    n = n or (config.system.n if system is None else system.n)
    asked = (
        f"kernel.d must be {n} or null"
        if d is None and system is None
        else (f"system.C must have {n} columns")
    )
    d = d or (num_features(config, given, n) if system is None else system.d)
    if config.kernel.name in ("sin", "tanh") and d != n:
        raise InputError(
            f"kernel.name={config.kernel.name} has as many features as states: {asked}, got {d}"
        )
    match config.kernel.name:
        case "sin":
            return features.Sine()
        case "tanh":
            return features.Tanh()
        case "zero":
            return features.Zero(d)
        case "products":
            # Signs are static: one draw serves all seeds, so that a sweep stays one program.
            key = key_for(config.first_seed, "signs of products")
            return features.random_products(
                key, n, [config.kernel.degree] * d, radius=config.law.radius
            )
        case _:
            assert given.function is not None
            return features.Custom(given.function, d)


def at_member(config: NlqrConfig, member: Mapping[str, Any]) -> NlqrConfig:
    """The configuration with the member's swept values (possibly traced) in their fields."""
    return replace_at(config, {path: v for path, v in member.items() if "." in path})


class Plant(NamedTuple):
    """The member's own numbers, computed once.

    A, B, C; K_lin with the Riccati solution P it rests on; whether the equation was solved. With
    `descent.start=identified` also the linear policy of the identified system, and its
    `IdentificationStatus`.
    """

    A: Array
    B: Array
    C: Array
    K_lin: Array
    P: Array
    solved: Array
    K_identified: Array | None = None
    identification: Array | None = None


def make_plant(config: NlqrConfig, given: Given) -> Callable[[Mapping[str, Any]], Plant]:
    """A pure function from a member (`{"seed": ..., "system.lipschitz": ...}`) to its plant."""
    phi = make_features(config, given)

    def plant(member: Mapping[str, Any]) -> Plant:
        at = at_member(config, member)
        system = _system(at, given, phi, member)
        linear = policies.linear_policy(system)
        return Plant(
            system.A, system.B, system.C, linear.K, linear.P, linear.status == EquationStatus.SOLVED
        )

    return plant


def make_instance(
    config: NlqrConfig, given: Given, plant: Callable[[Mapping[str, Any]], Plant]
) -> Callable[[Mapping[str, Any]], Instance]:
    """A pure function from a member to its instance, given its plant."""
    phi = make_features(config, given)

    def instance(member: Mapping[str, Any]) -> Instance:
        at = at_member(config, member)
        own = plant(member)
        Q, R = _weights(given, own.A, own.B)
        scale = jnp.asarray(at.system.lipschitz, own.A.dtype)
        system = System(own.A, own.B, own.C, Q, R, scale, phi)
        law = _law(at, given, system)
        seed = jax.random.key(member["seed"])
        problem = Problem(system, law, _points(at, law, phi, key_for(seed, "initial states")))
        return Instance(problem, own.K_lin, own.P, own.solved, seed, own.K_identified)

    return instance


def make_problem(config: NlqrConfig, given: Given) -> Callable[[Mapping[str, Any]], Problem]:
    """A pure function from a member to its problem alone, without points."""
    phi = make_features(config, given)

    def problem(member: Mapping[str, Any]) -> Problem:
        at = at_member(config, member)
        system = _system(at, given, phi, member)
        return Problem(system, _law(at, given, system))

    return problem


def identified_start(config: NlqrConfig, instance: Instance) -> policies.IdentifiedPolicy:
    """The linear policy of the system that `descent.num_samples` one-step samples identify."""
    system = instance.problem.system
    num = config.descent.num_samples or system.n + system.p + system.d + EXTRA_SAMPLES
    key = key_for(instance.key, "samples of one step")
    return policies.identified_policy(key, instance.problem, num)


def _weights(given: Given, A: Array, B: Array) -> tuple[Array, Array]:
    if given.system is not None:
        return given.system.Q, given.system.R
    return jnp.eye(A.shape[-1], dtype=A.dtype), jnp.eye(B.shape[-1], dtype=A.dtype)


def _dtype(config: NlqrConfig) -> Any:
    return jnp.dtype(config.precision)


def _system(config: NlqrConfig, given: Given, phi: Features, member: Mapping[str, Any]) -> System:
    scale = jnp.asarray(config.system.lipschitz, _dtype(config))
    if given.system is not None:
        g = given.system
        return System(g.A, g.B, g.C, g.Q, g.R, scale, phi)
    size = config.system.radius if config.system.normalisation == "radius" else 1.0
    return random_system(
        key_for(member["seed"], "a system"),
        phi,
        n=config.system.n,
        p=config.system.p,
        normalisation=config.system.normalisation,  # type: ignore[arg-type]
        size=jnp.asarray(size, _dtype(config)),
        scale=scale,
    )


def _law(config: NlqrConfig, given: Given, system: System) -> InitialLaw:
    radius = jnp.asarray(config.law.radius, _dtype(config))
    match config.law.name:
        case "sphere":
            return laws.Sphere(radius, system.n)
        case "ball":
            return laws.Ball(radius, system.n)
        case "gaussian":
            return laws.Gaussian(radius**2 * jnp.eye(system.n, dtype=radius.dtype))
        case "quadrature":
            return laws.sphere_points(system.n, radius, config.law.degree)
        case _:
            assert given.law is not None
            return given.law


def _points(config: NlqrConfig, law: InitialLaw, phi: Features, key: Array) -> laws.Points:
    # With an odd φ the rollout from -x mirrors that from x: half of a symmetric rule does.
    half = features.is_odd(phi)
    if config.law.name == "quadrature":
        radius = jnp.asarray(config.law.radius, _dtype(config))
        return laws.sphere_points(law.n, radius, config.law.degree, half=half)
    if isinstance(law, laws.Points):
        return law
    if law.n <= 3:
        return laws.quadrature(law, config.law.degree, half=half)
    return laws.drawn_points(law, key, NUM_DRAWN_POINTS)
