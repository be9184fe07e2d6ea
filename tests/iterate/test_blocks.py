"""Blocks of members in one program: metrics, conditions, divergence, loops inside kernels."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.iterate import (
    Carry,
    advance,
    iterate,
    start,
)
from fineq.iterate.chunk import Layout, Rules, buffers, run_chunk
from fineq.iterate.record import make_plan
from tests.iterate.common import HALF, KEY, ONE, Info, State, contraction, step_length


def test_metrics_are_computed_only_where_recorded_also_for_a_block():
    calls: list[int] = []

    def counted(state: State, info: Info, problem: Any) -> dict[str, jax.Array]:
        jax.debug.callback(lambda t: calls.append(int(t)), jnp.rint(-jnp.log2(state.x)))
        return {"x": state.x}

    iterate(contraction, ONE, HALF, num_steps=50, metrics=counted, record=[0, 7, 50])
    jax.effects_barrier()
    assert sorted(calls) == [0, 7, 50]

    calls.clear()
    rules = Rules(contraction, counted)
    one = start(contraction, ONE, HALF)
    block = jax.tree.map(lambda x: jnp.stack([x, x]), one)
    recorded = jax.tree.map(lambda x: jnp.stack([x, x]), buffers(rules, one, HALF, 4))
    key = jax.random.split(KEY)
    plan = make_plan(0, [3, 9], 1, 4)
    carry, _ = run_chunk(rules, Layout((None,)), block, recorded, HALF, key, 0.0, plan)
    jax.effects_barrier()
    assert sorted(calls) == [3, 3]
    np.testing.assert_array_equal(carry.iteration, [9, 9])


def loop_conditions(jaxpr: Any) -> list[tuple[int, ...]]:
    """The shape of the condition of every while loop, those inside others too."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "while":
            (condition,) = equation.params["cond_jaxpr"].jaxpr.outvars
            found.append(condition.aval.shape)
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "jaxpr")):
            if hasattr(inner, "jaxpr"):
                found += loop_conditions(inner.jaxpr)
    return found


@pytest.mark.parametrize("until", [None, step_length], ids=["budget", "tolerance"])
def test_a_block_with_a_fixed_budget_does_not_ask_its_members_whether_to_go_on(until: Any):
    rules = Rules(contraction, until=until)
    block = jax.tree.map(lambda x: jnp.stack([x, x]), start(contraction, ONE, HALF))
    plan, key = make_plan(0, [5], 0, 1), jax.random.split(KEY)
    run = partial(run_chunk, rules, Layout((None,)))
    jaxpr = jax.make_jaxpr(run)(block, {}, HALF, key, 0.0, plan).jaxpr
    # With a tolerance each member has its own condition: the test sees the difference.
    assert loop_conditions(jaxpr) == [(), () if until is None else (2,)]


def test_a_fixed_point_inside_a_step_inside_vmap_and_jit():
    # Inside r = sqrt(a) by Newton; outside x <- (x + r) / 2, for which x_t - r = 2^-t (x_0 - r).
    def newton(state: State, problem: Any) -> tuple[State, Info]:
        x = 0.5 * (state.x + problem / state.x)
        return State(x), Info(jnp.abs(x - state.x))

    def outer(state: State, problem: Any) -> tuple[State, Info]:
        carry = advance(
            newton, start(newton, State(problem), problem), problem, None, 100,
            until=step_length, tolerance=1e-12,
        )  # fmt: skip
        return State(0.5 * (state.x + carry.state.x)), Info(carry.iteration)

    a = jnp.asarray([2.0, 9.0, 1e6])
    run = jax.jit(jax.vmap(lambda a: advance(outer, start(outer, ONE, a), a, None, 8)))
    carry = run(a)
    np.testing.assert_allclose(carry.state.x, np.sqrt(a) + 2.0**-8 * (1 - np.sqrt(a)), rtol=1e-14)
    # Newton halves the error from a while it is far: about log2(sqrt(a)) steps, then a few.
    inner = np.asarray(carry.info.step)
    assert np.all(inner <= np.log2(np.sqrt(a)) + 7)
    assert inner[2] > inner[0]


def test_diverged_members_do_not_touch_the_others():
    q = jnp.asarray([0.5, 2.0**100, 0.25])

    def run(q: jax.Array) -> Carry:
        return advance(contraction, start(contraction, ONE, q), q, None, 40)

    carry = jax.jit(jax.vmap(run))(q)
    np.testing.assert_array_equal(carry.diverged, [False, True, False])
    np.testing.assert_array_equal(carry.iteration, [40, 10, 40])
    np.testing.assert_array_equal(carry.state.x, [2.0**-40, 2.0**1000, 2.0**-80])
