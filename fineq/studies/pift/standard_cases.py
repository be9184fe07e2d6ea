"""The standard problems with both optima, as the study of them needs them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.keys import key_for
from fineq.pift import lq, standard_problems
from fineq.pift.parametric import paths
from fineq.pift.parametric.error import Reference, reference_on_paths
from fineq.pift.parametric.features import Scale, standard_scale
from fineq.pift.problem import AffineMean, Problem
from fineq.pift.separable import solve_separable
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.fits import Facing

SEED = 1  # of reference paths and standardisation, the same for every member
PATHS = 1000
COMPARED = 256  # of these paths, in every sweep
WELL = "double_well"
WELL_RANGE = 2.5  # no controlled path comes near it


class Case(NamedTuple):
    """A standard problem with its two optima.

    Attributes:
        standard: the problem.
        optimum: the costate of its exact optimum.
        exact: where the exact optimum goes, and what it does there.
        usual: the same states, with the usual optimum's costates.
        size: E ∫ |u*|² dt.
        gap: E ∫ |u_usual - u*|² dt, path by path `[N]`.
        scale: mean and deviation of the uncontrolled states.
    """

    standard: standard_problems.Standard
    optimum: paths.Costate
    exact: Reference
    usual: Reference
    size: float
    gap: np.ndarray
    scale: Scale

    def facing(self, precision: str) -> Facing:
        """The problem of a sweep, with errors to both optima."""
        few = {
            "to_exact": jax.tree.map(lambda x: x[:, :COMPARED], self.exact),
            "to_usual": jax.tree.map(lambda x: x[:, :COMPARED], self.usual),
        }
        facing = Facing(self.standard.problem, few, jnp.ones(()), self.scale)
        return standard_problems.as_dtype(facing, precision)


def make_case(config: PiftConfig, name: str) -> Case:
    """Solve a standard problem."""
    standard = standard_problems.PROBLEMS[name]()
    problem = standard.problem
    usual: paths.Costate
    if name == WELL:
        num = config.benchmark.well_points
        exact = solve_separable(problem, -WELL_RANGE, WELL_RANGE, num)
        usual = solve_separable(problem, -WELL_RANGE, WELL_RANGE, num, hopf_cole=True)
    else:
        exact = paths.costate_of(
            problem, AffineMean(*lq.optimum(lq.linear_quadratic(problem)).policy)
        )
        assert standard.usual is not None
        usual = standard.usual

    found, other, size, gap, scale = _look(jax.random.key(SEED), problem, exact, usual)
    usual_there = Reference(found.states, other)
    return Case(standard, exact, found, usual_there, float(size), np.asarray(gap), scale)


@jax.jit
def _look(
    key: Array, problem: Problem, exact: paths.Costate, usual: paths.Costate
) -> tuple[Reference, Array, Array, Array, Scale]:
    found = reference_on_paths(key_for(key, "paths of a known optimum"), problem, exact, PATHS)
    times = jnp.arange(problem.num_steps)
    other = jax.vmap(lambda t, y: jax.vmap(lambda x: usual(t, x))(y))(times, found.states)
    scale = standard_scale(key_for(key, "uncontrolled paths"), problem)
    return found, other, found.size(problem), found.squares(problem, usual), scale


def alike(cases: dict[str, Case]) -> list[list[str]]:
    """Names of problems of equal structure and shapes, which one program can solve."""
    groups: dict[str, list[str]] = {}
    for name, case in cases.items():
        shapes = jax.tree.map(np.shape, case.standard.problem)
        groups.setdefault(f"{jax.tree.structure(shapes)}{jax.tree.leaves(shapes)}", []).append(name)
    return list(groups.values())


def separate_ratio(problem: Problem, optimum: paths.Costate, states: Array) -> Array:
    """max_t ρ_t of an optimum whose coordinates do not interact, at states `[T, N, d]`.

    ρ_t is σ_t²/β_t times the curvature of the smoothed next value, 1 - m0_t'/m_t' in a coordinate.
    """
    policy, ones = paths.policy_of(problem, optimum), jnp.ones(problem.d)

    def slope(mean: paths.Costate, t: Array, y: Array) -> Array:
        return jax.jvp(lambda x: mean(t, x), (y,), (ones,))[1]

    def ratio(t: Array, y: Array) -> Array:
        return 1 - slope(problem.chain.mean, t, y) / slope(policy, t, y)

    each = jax.vmap(jax.vmap(ratio, (None, 0)))
    return jnp.max(jnp.abs(each(jnp.arange(problem.num_steps), states)))
