"""Every method of the library keeps the one contract: whatever solves is tested here by its type.

A method that is not among `CASES` fails the first test.
"""

import importlib
import pkgutil
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

import fineq
from fineq.errors import InputError
from fineq.iterate import Method, Solution, check_step, solve, unroll
from fineq.iterate.stepping import Given, stochastic_step
from tests.cases import CASES, Case, fine_tuning
from tests.compiled import compilations

KEY, STEPS = jax.random.key(7), 3
DOUBLE = ("GridSweeps", "GridNested")  # those that take float64 only
QUICK = {
    *("PolicyGradient", "LQSweeps", "GridSweeps"),
    *("LinearSweeps", "KernelDescent", "DeepTraining"),
}
each = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, case in CASES.items()
    ],
)


def subclasses(kind: type) -> set[type]:
    return {kind, *(each for sub in kind.__subclasses__() for each in subclasses(sub))}


def test_every_method_of_the_library_has_a_case():
    areas = tuple(f"fineq.{area}." for area in ("nlqr", "pift", "ntk", "ddpm", "finetune"))
    for found in pkgutil.walk_packages(fineq.__path__, "fineq."):
        if f"{found.name}.".startswith(areas):
            importlib.import_module(found.name)
    # Studies may record more of a method of theirs; another test may have loaded them.
    steps = {
        kind
        for kind in subclasses(Method)
        if kind.__module__.startswith(areas) and kind.step is not Method.step
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
def begun(by: Method, key: Any, problem: Any, start: Any) -> Any:
    return by.init(key, problem, start)


@jax.jit
def stepped(by: Method, key: Any, state: Any, problem: Any) -> tuple[Any, Any]:
    return by.step(key, state, problem)


def run(case: Case, x: float, key: Any = KEY) -> Solution:
    problem, by = case.problem(np.float64, x), case.method(x)
    start = case.start(np.float64)
    return solve(problem, by, start=start, key=key, num_steps=STEPS, record=range(STEPS + 1))


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_structure_shapes_and_the_precision_of_the_problem(case, dtype):
    if dtype == np.float32 and case in (CASES[name] for name in DOUBLE):
        with pytest.raises(InputError, match="solved in float64, got float32"):
            case.problem(dtype, 1.0)
        return
    problem, by = case.problem(dtype, 1.0), in_precision(case.method(1.0), dtype)
    state = begun(by, KEY, problem, case.start(dtype))
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
    start = case.start(np.float64)

    def one(x: Any, key: Any) -> Any:
        problem = jax.tree.map(between(x), low, high)
        return unroll(problem, case.method(x), start=start, key=key, num_steps=STEPS)

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
    state = begun(by, key_init, problem, case.start(np.float64))
    for t in range(found.stats.num_steps):
        state, _ = stepped(by, jax.random.fold_in(key_steps, t), state, problem)
    assert_trees_all_close(state, found.trace.state, rtol=1e-7, atol=1e-8)


@each
def test_a_state_that_is_not_finite_is_refused_and_never_kept(case):
    problem, by = case.problem(np.float64, 1.0), case.method(1.0)
    following, info = stepped(by, KEY, begun(by, KEY, problem, case.start(np.float64)), problem)
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
