"""The standard problems of stochastic control: error against the exact and the usual optimum.

Affine costates are fitted to the Ornstein-Uhlenbeck problems sweep by sweep; for the double well
the two optima are compared with one another. Controls are compared on paths of the exact optimum of
the discrete problem: with it, and with the optimum that the literature compares with, an Euler
solution of the Riccati equation, the price carried by a matrix exponential, or the logarithm of an
expectation along the uncontrolled chain, none of them optimal at finite steps.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Measured, Theory
from fineq.errors import InputError
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.pift import lq
from fineq.pift.claims import claim
from fineq.pift.config import PiftConfig
from fineq.pift.parametric import linear
from fineq.pift.parametric.error import Reference, reference_on_paths
from fineq.pift.parametric.features import polynomial, standard_scale
from fineq.pift.parametric.paths import Costate, costate_of
from fineq.pift.problem import AffineMean, Problem
from fineq.pift.separable import solve_separable
from fineq.pift.standard_problems import PROBLEMS, Standard
from fineq.pift.study.common import coords_of
from fineq.pift.study.instances import Given
from fineq.rates import median_interval
from fineq.results import Array as Named
from fineq.results import StudyResult, status_of
from fineq.studies import seed_axis
from fineq.sweep import Axis, Program
from fineq.sweep.stages import Stages

WELL = "double_well"
KEY = 1  # of reference paths and standardisation, the same for every seed
PATHS = 1000
WELL_RANGE = 2.5  # no controlled path comes near it
GOALS = (1e-2, 1e-3)
ABOUT = {
    "to_exact": "control L2 error to the exact optimum",
    "to_usual": "control L2 error to the usual optimum",
    "value": "mean return",
}


class Case(NamedTuple):
    """A standard problem with its two optima.

    Attributes:
        standard: the problem.
        exact: where the exact optimum goes, and what it does there.
        usual: the same states, with the usual optimum's costates.
        size: E ∫ |u*|² dt.
        gap: E ∫ |u_usual - u*|² dt, path by path `[N]`.
    """

    standard: Standard
    exact: Reference
    usual: Reference
    size: float
    gap: np.ndarray


class Bench(NamedTuple):
    """The problem of a sweep."""

    problem: Problem
    exact: Reference
    usual: Reference


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Fit every problem from the pre-trained policy, u = 0."""
    del given
    if config.sweep:
        raise InputError("study=benchmark_problems takes no sweep: its problems are fixed")
    names = [name for name in PROBLEMS if name != WELL]
    cases = {name: _case(config, name) for name in names}
    axes = [Axis("problem", names, static=True), seed_axis(config)]

    def program(static: dict[str, Any]) -> Program:
        return _program(config, cases[static["problem"]])

    result = stages.sweep("sweeps", program, axes)
    found = [c for i, name in enumerate(names) for c in _claims(cases[name], result.metrics, i)]
    if config.benchmark.well:
        found.append(_gap(_case(config, WELL)))
    dims = ("problem", "seed", "sweep")
    arrays = {name: Named(result.metrics[name], dims, "1", text) for name, text in ABOUT.items()}
    arrays["gap"] = Named(
        [c.gap.mean() for c in cases.values()], ("problem",), "1", "error of the usual optimum"
    )
    arrays["size"] = Named(
        [c.size for c in cases.values()], ("problem",), "1", "error of changing nothing"
    )
    return StudyResult(
        arrays,
        {
            **coords_of(axes, config, sweep=result.iterations),
        },
        tuple(found),
        figures=(_figure(cases),),
        status=status_of(result.diverged),
        notes={
            "parametrisation": "linear controls need few sweeps because the class holds the "
            "optimum (Ornstein-Uhlenbeck problems): a comparison with networks compares "
            "parametrisations, not algorithms",
        },
    )


def _case(config: PiftConfig, name: str) -> Case:
    standard = PROBLEMS[name]()
    problem = standard.problem
    usual: Costate
    if name == WELL:
        num = config.benchmark.well_points
        exact = solve_separable(problem, -WELL_RANGE, WELL_RANGE, num)
        usual = solve_separable(problem, -WELL_RANGE, WELL_RANGE, num, hopf_cole=True)
    else:
        exact = costate_of(problem, AffineMean(*lq.optimum(lq.linear_quadratic(problem)).policy))
        assert standard.usual is not None
        usual = standard.usual

    @jax.jit
    def look(key: Array) -> tuple[Reference, Array, Array, Array]:
        found = reference_on_paths(key, problem, exact, PATHS)
        times = jnp.arange(problem.num_steps)
        other = jax.vmap(lambda t, y: jax.vmap(lambda x: usual(t, x))(y))(times, found.states)
        return found, other, found.size(problem), found.squares(problem, usual)

    found, other, size, gap = look(jax.random.key(KEY))
    return Case(standard, found, Reference(found.states, other), float(size), np.asarray(gap))


def _program(config: PiftConfig, case: Case) -> Program:
    problem = case.standard.problem
    scale = standard_scale(jax.random.key(KEY), problem)
    features = polynomial(scale, 1)
    step = linear.fitted_iteration(config.benchmark.num_paths, "landing")

    def init(key: Array, member: Any) -> tuple[linear.LinearCostate, Bench]:
        del key, member
        return linear.start(problem, features), Bench(problem, case.exact, case.usual)

    def kernel(
        key: Array, state: linear.LinearCostate, problem: Bench
    ) -> tuple[linear.LinearCostate, linear.LinearInfo]:
        return step(key, state, problem.problem)

    def metrics(
        state: linear.LinearCostate, info: linear.LinearInfo, problem: Bench
    ) -> dict[str, Array]:
        return {
            "to_exact": problem.exact.error(problem.problem, state),
            "to_usual": problem.usual.error(problem.problem, state),
            "value": info.objective,
        }

    num = config.benchmark.num_sweeps
    return Program(init, kernel, num_steps=num, metrics=metrics, record=list(range(num + 1)))


def _claims(case: Case, metrics: dict[str, np.ndarray], i: int) -> list[Claim]:
    name, problem = case.standard.name, case.standard.problem
    errors, seeds = metrics["to_exact"][i], metrics["to_exact"].shape[1]
    instance = f"{name}, {problem.num_steps} steps, {seeds} seeds"
    ends = errors[np.isfinite(errors[:, -1])][:, -1]
    mean = case.gap.mean()
    found = [
        _gap(case),
        claim(
            "pift/standard-problems",
            median_interval(ends),
            Theory(mean, "<=", "the error of the usual optimum"),
            instance=instance,
            what="control L2 error to the exact optimum after the last sweep",
        ),
    ]
    for goal in GOALS:
        below = errors <= goal
        if below.any(axis=1).all():
            first = np.argmax(below, axis=1).astype(float)
            found.append(
                claim(
                    "pift/standard-problems",
                    median_interval(first),
                    instance=instance,
                    what=f"sweeps of linear controls to a control L2 error of {goal:g}",
                )
            )
    return found


def _gap(case: Case) -> Claim:
    margin = 2 * case.gap.std() / np.sqrt(case.gap.size)
    mean = case.gap.mean()
    return claim(
        "pift/standard-problems",
        Measured(mean, mean - margin, mean + margin),
        instance=f"{case.standard.name}, {case.standard.problem.num_steps} steps",
        what=f"error of the usual optimum, of ∫|u*|² = {case.size:.3g}",
    )


def _figure(cases: dict[str, Case]) -> Figure:
    def panel(name: str, case: Case) -> Panel:
        lines = tuple(
            Line(variable, label, {"problem": name})
            for variable, label in (("to_exact", "exact"), ("to_usual", "usual"))
        )
        level = float(case.gap.mean())
        return Panel(
            "convergence",
            "sweep",
            lines,
            (Drawn("between the two", level=level),),
            title=case.standard.name,
            xlabel="sweep",
            ylabel="control L2 error to the optimum",
        )

    return Figure(
        "benchmark_problems",
        tuple(panel(name, case) for name, case in cases.items()),
        "Error of fitted linear controls to the exact optimum of the discrete problem, and to the "
        "usual one.",
    )
