"""Every method of the library keeps the one contract: whatever solves is tested here by its type.

A method that is not among `CASES` fails the first test.
"""

import importlib
import pkgutil
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

import fineq
from fineq import ddpm, nlqr, ntk, pift
from fineq.errors import InputError
from fineq.iterate import Method, Solution, check_step, solve, unroll
from fineq.iterate.stepping import Given, stochastic_step
from fineq.pift import hjb
from tests.compiled import compilations

KEY, STEPS = jax.random.key(7), 3


class Case(NamedTuple):
    """A small problem `(dtype, x)` that depends on a number x near 1, and a method of the same."""

    problem: Callable[[Any, Any], Any]
    method: Callable[[Any], Method]


def plant(dtype: Any, x: Any) -> Any:
    rng = np.random.default_rng(3)
    A, B, C = (jnp.asarray(0.4 * rng.normal(size=(2, 2)), dtype) for _ in range(3))
    eye = jnp.eye(2, dtype=dtype)
    system = nlqr.System(x * A, B, C, eye, eye, jnp.asarray(0.5, dtype), nlqr.Sine())
    points = nlqr.Points(jnp.asarray(rng.normal(size=(5, 2)), dtype), jnp.full(5, 0.2, dtype))
    return nlqr.Problem(system, points, points, 6)


def fine_tuning(dtype: Any, x: Any) -> Any:
    mean, covariance = np.array([0.5, -1.0]), np.array([[1.0, 0.3], [0.3, 0.5]])
    law = ddpm.gaussian(mean.astype(dtype), covariance.astype(dtype))
    schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(4))
    curvature = np.array([[-1.0, 0.2], [0.2, -0.5]])
    reward = pift.quadratic(curvature.astype(dtype), center=np.ones(2, dtype))
    problem = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta=4.0)
    problem = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), problem)
    return pift.with_beta(problem, jnp.asarray(4 * x, dtype))


def bounded(y: Any) -> Any:
    return jnp.tanh(y[0])


def on_line(dtype: Any, x: Any) -> Any:
    law = ddpm.gaussian(np.array([0.3], dtype), np.array([[0.7]], dtype))
    schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(4))
    reward = pift.Custom(bounded)
    problem = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta=4.0)
    problem = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), problem)
    grid = pift.make_grid(*(np.asarray([b], dtype) for b in (-6.0, 6.0)), num=65)
    grid = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), grid)
    region = jnp.ones((5, 65), bool)
    return pift.gridded(pift.with_beta(problem, jnp.asarray(4 * x, dtype)), grid, region)


def bellman(dtype: Any, x: Any) -> Any:
    law = ddpm.gaussian(np.array([0.3]), np.array([[0.7]]))
    domain = hjb.make_domain(law, 0.1, 12, 33, 5.0)
    domain = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), domain)
    reward = jnp.tanh(domain.points)
    return hjb.bellman_equation(domain, reward, jnp.asarray(2 * x, dtype))


def regression(dtype: Any, x: Any) -> Any:
    rng = np.random.default_rng(1)
    z = jnp.asarray(rng.normal(size=(9, 3)), dtype)
    return ntk.make_regression(z, jnp.sin(x * z[:, :2]), fresh=z[:4] + jnp.asarray(0.1, dtype))


CASES = {
    "PolicyGradient": Case(plant, lambda x: nlqr.PolicyGradient(0.02 * x)),
    "one-point": Case(
        plant, lambda x: nlqr.PolicyGradient(0.01 * x, nlqr.OnePoint(8, 6), radius=0.1 * x)
    ),
    "natural": Case(plant, lambda x: nlqr.PolicyGradient(0.02 * x, nlqr.Natural())),
    "adam": Case(plant, lambda x: nlqr.PolicyGradient(0.01 * x, rule="adam")),
    "Newton": Case(plant, lambda x: nlqr.Newton(tolerance=1e-30 * x)),
    "LBFGS": Case(plant, lambda x: nlqr.LBFGS(tolerance=1e-30 * x)),
    "LQSweeps": Case(
        lambda d, x: pift.linear_quadratic(fine_tuning(d, x)), lambda x: pift.LQSweeps()
    ),
    "LQNested": Case(
        lambda d, x: pift.linear_quadratic(fine_tuning(d, x)), lambda x: pift.LQNested(2)
    ),
    "GridSweeps": Case(on_line, lambda x: pift.GridSweeps()),
    "GridNested": Case(on_line, lambda x: pift.GridNested(2)),
    "HJBIteration": Case(bellman, lambda x: pift.HJBIteration(within=4.0 * x)),
    "LinearSweeps": Case(
        fine_tuning, lambda x: pift.LinearSweeps(32, share=0.5 * x, features=affine())
    ),
    "LinearNested": Case(fine_tuning, lambda x: pift.LinearNested(32, 1, features=affine())),
    "NetworkSweeps": Case(
        fine_tuning, lambda x: pift.NetworkSweeps(8, num_batches=2, width=4, depth=1)
    ),
    "NetworkAscent": Case(
        fine_tuning, lambda x: pift.NetworkAscent(8, num_batches=2, width=4, depth=1)
    ),
    "KernelDescent": Case(regression, lambda x: ntk.KernelDescent(0.3 * x)),
    "NetworkTraining": Case(regression, lambda x: ntk.NetworkTraining(0.3 * x, width=8)),
    "DeepTraining": Case(regression, lambda x: ntk.DeepTraining(1e-2 * x, width=4, batch=3)),
}
DOUBLE = ("GridSweeps", "GridNested")  # those that take float64 only
QUICK = {
    *("PolicyGradient", "Newton", "LQSweeps", "GridSweeps"),
    *("LinearSweeps", "NetworkSweeps", "KernelDescent", "DeepTraining"),
}
each = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, case in CASES.items()
    ],
)


def affine() -> Any:
    """Affine features of a state in the plane."""
    return pift.polynomial(pift.standard_scale(jax.random.key(0), fine_tuning(np.float64, 1.0)), 1)


def subclasses(kind: type) -> set[type]:
    return {kind, *(each for sub in kind.__subclasses__() for each in subclasses(sub))}


def test_every_method_of_the_library_has_a_case():
    for found in pkgutil.walk_packages(fineq.__path__, "fineq."):
        if found.name.split(".")[1] in ("nlqr", "pift", "ntk", "ddpm"):
            importlib.import_module(found.name)
    steps = {
        kind
        for kind in subclasses(Method)
        if kind.__module__.startswith("fineq.") and kind.step is not Method.step
    }
    tried = {type(case.method(1.0)) for case in CASES.values()}
    assert {kind for kind in steps if kind not in tried} == set()


def in_precision(by: Method, dtype: Any) -> Method:
    """A method whose arrays, such as the features of linear controls, are of this type."""

    def cast(leaf: Any) -> Any:
        floating = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if floating else leaf

    return jax.tree.map(cast, by)


def test_linear_features_of_another_precision_are_refused():
    problem, by = fine_tuning(np.float32, 1.0), CASES["LinearSweeps"].method(1.0)
    with pytest.raises(InputError, match="features are of float64, but the problem of float32"):
        by.init(KEY, problem, None)


# What a method does is compiled once and shared by the tests: one program of its start, one of a
# step, one of a run that records all of them.
@jax.jit
def begun(by: Method, key: Any, problem: Any) -> Any:
    return by.init(key, problem, None)


@jax.jit
def stepped(by: Method, key: Any, state: Any, problem: Any) -> tuple[Any, Any]:
    return by.step(key, state, problem)


def run(case: Case, x: float, key: Any = KEY) -> Solution:
    problem, by = case.problem(np.float64, x), case.method(x)
    return solve(problem, by, key=key, num_steps=STEPS, record=range(STEPS + 1))


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_structure_shapes_and_the_precision_of_the_problem(case, dtype):
    if dtype == np.float32 and case in (CASES[name] for name in DOUBLE):
        with pytest.raises(InputError, match="solved in float64, got float32"):
            case.problem(dtype, 1.0)
        return
    problem, by = case.problem(dtype, 1.0), in_precision(case.method(1.0), dtype)
    state = begun(by, KEY, problem)
    check_step(stochastic_step, state, Given(by, problem, None), KEY)
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(by.value(state, problem))]
    floats = {x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)}
    assert floats == {np.dtype(dtype)}


@each
def test_new_numbers_compile_nothing(case):
    run(case, 1.0)
    with compilations("run_chunk") as found:
        run(case, 1.1, jax.random.key(8))
    assert found == []


def between(x: Any) -> Callable[[Any, Any], Any]:
    """What is a line through two leaves at 1 and 1.1; integers and booleans as they are."""

    def at(a: Any, b: Any) -> Any:
        inexact = jnp.issubdtype(jnp.asarray(a).dtype, jnp.inexact)
        return a + (x - 1) * (b - a) / 0.1 if inexact else a

    return at


@each
def test_a_batch_of_problems_numbers_and_seeds_equals_one_by_one(case):
    xs, keys = jnp.array([1.0, 1.1]), jax.random.split(KEY)
    low, high = (case.problem(np.float64, x) for x in (1.0, 1.1))

    def one(x: Any, key: Any) -> Any:
        problem = jax.tree.map(between(x), low, high)
        return unroll(problem, case.method(x), key=key, num_steps=STEPS)

    together = jax.jit(jax.vmap(one))(xs, keys)
    for i, x in enumerate((1.0, 1.1)):
        alone = run(case, x, keys[i])
        member = jax.tree.map(itemgetter(i), together)
        # Other orders of summation, a few rounding units of numbers of order one, through
        # STEPS steps and, in the worst of them, a small least-squares problem.
        expected = (alone.value, dict(alone.trace.metrics))
        assert_trees_all_close(member, expected, rtol=1e-7, atol=1e-8)


@each
def test_steps_by_hand_end_where_the_driver_ends(case):
    """A method remembers nothing but its state."""
    problem, by = case.problem(np.float64, 1.0), case.method(1.0)
    key_init, key_steps = jax.random.split(KEY)
    found = run(case, 1.0)
    state = begun(by, key_init, problem)
    for t in range(found.stats.num_steps):
        state, _ = stepped(by, jax.random.fold_in(key_steps, t), state, problem)
    assert_trees_all_close(state, found.trace.state, rtol=1e-7, atol=1e-8)


@each
def test_a_state_that_is_not_finite_is_refused_and_never_kept(case):
    problem, by = case.problem(np.float64, 1.0), case.method(1.0)
    following, info = stepped(by, KEY, begun(by, KEY, problem), problem)
    assert not by.diverged(following, info, problem)
    broken = jax.tree.map(
        lambda x: x * jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else x, following
    )
    assert by.diverged(broken, info, problem)


@each
def test_what_is_measured_are_arrays_by_name_from_the_start_on(case):
    found = run(case, 1.0)
    assert found.trace.metrics
    for name, values in found.trace.metrics.items():
        assert name.isidentifier()
        assert values.shape[0] == STEPS + 1
