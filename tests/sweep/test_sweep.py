"""A sweep's members are what they are alone, whatever blocks they are computed in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq.errors import InputError
from fineq.iterate import every, iterate
from fineq.sweep import Axis, Program, sweep
from fineq.sweep.program import keys, shapes_of
from tests.compiled import compilations
from tests.sweep.common import SEEDS, Q, State, Walk, bits, init, measured, program, walk

GROWING = Axis("q", [0.5, 2.0**100, 0.25])


def test_every_member_is_what_it_is_alone():
    result = sweep(program, [Q, SEEDS])
    assert result.dims == ("q", "seed")
    assert result.metrics["x"].shape == (3, 4, len(result.iterations), 3)
    assert result.valid.all()
    for i, q in enumerate(Q.values):
        for j, seed in enumerate(SEEDS.values):
            init_key, key = keys({"seed": seed})
            state, problem = init(init_key, {"q": jnp.asarray(q)})
            alone = iterate(walk, state, problem, num_steps=30, key=key, metrics=measured)
            # Fused or not, a step rounds a few times; |x| < 4 and errors shrink by q <= 3/4.
            bound = 4 * 4 * 2.0**-52 * 4
            np.testing.assert_allclose(
                result.metrics["x"][i, j], alone.metrics["x"], rtol=0, atol=bound
            )
            np.testing.assert_allclose(result.final.x[i, j], alone.state.x, rtol=0, atol=bound)


def test_equal_seeds_see_equal_noise_and_others_do_not():
    result = sweep(program, [Axis("q", [0.0, 0.0]), Axis("seed", [1, 2])])
    np.testing.assert_array_equal(result.final.x[0], result.final.x[1])
    assert not np.any(result.final.x[:, 0] == result.final.x[:, 1])


@pytest.mark.parametrize("block_size", [1, 5, 7, 100])
def test_results_do_not_depend_on_the_block_size(block_size: int):
    whole, parts = sweep(program, [Q, SEEDS]), sweep(program, [Q, SEEDS], block_size=block_size)
    assert whole.block_size == 12
    assert parts.block_size <= block_size
    assert_trees_all_close(whole.metrics, parts.metrics, rtol=0, atol=4 * 4 * 2.0**-52 * 4)


def test_the_same_layout_gives_the_same_bits_in_any_chunks():
    first = sweep(program, [Q, SEEDS], block_size=4)
    assert bits(sweep(program, [Q, SEEDS], block_size=4)) == bits(first)
    assert bits(sweep(program, [Q, SEEDS], block_size=4, chunk_seconds=0.0)) == bits(first)


@pytest.mark.parametrize("until", [None, lambda info: info.step], ids=["budget", "tolerance"])
def test_a_diverging_member_is_marked_and_touches_no_other(until: Any):
    def start(key: jax.Array, member: dict[str, jax.Array]) -> tuple[State, Walk]:
        del key
        return State(jnp.ones(2)), Walk(member["q"], 0.0, jnp.zeros(1))

    def make(static: dict[str, Any]) -> Program:
        del static
        return Program(start, walk, 40, measured, every(40), until, 2.0**-20)

    result = sweep(make, [GROWING, Axis("seed", [0, 1])])
    # 2^(100 t) passes 2^1024 first for t = 11; a step of q^t (1/q - 1) is 2^-t and 3 * 4^-t.
    stopped = [40, 10, 40] if until is None else [20, 10, 11]
    np.testing.assert_array_equal(result.num_steps, np.tile(stopped, (2, 1)).T)
    np.testing.assert_array_equal(result.diverged, [[False] * 2, [True] * 2, [False] * 2])
    np.testing.assert_array_equal(result.diverged_at, [[0, 0], [11, 11], [0, 0]])
    np.testing.assert_array_equal(result.converged, until is not None and ~result.diverged)
    np.testing.assert_array_equal(result.valid, result.iterations <= result.num_steps[..., None])
    np.testing.assert_array_equal(result.final.x[1], 2.0**1000)
    x = result.metrics["x"][..., 0]
    assert np.isnan(x[1][:, 11:]).all()
    for i, q in enumerate(GROWING.values):
        np.testing.assert_array_equal(
            x[i][result.valid[i]], np.tile(q ** np.arange(stopped[i] + 1.0), 2)
        )
        if i != 1:
            assert np.all(x[i][~result.valid[i]] == q ** stopped[i])


def test_static_axes_stand_where_they_were_given():
    def make(static: dict[str, Any]) -> Program:
        def start(key: jax.Array, member: dict[str, jax.Array]) -> tuple[State, Walk]:
            del key
            x = member["q"] + 10.0 * static["width"] + 100.0 * jnp.asarray(member["seed"], float)
            return State(jnp.full(2, x)), Walk(1.0, 0.0, jnp.zeros(1))

        return Program(start, walk, 2, measured)

    # An order whose inverse is another one.
    axes = [Axis("q", [0.5, 1.0]), Axis("seed", [0, 1]), Axis("width", [1, 2, 3], static=True)]
    result = sweep(make, axes)
    assert result.dims == ("q", "seed", "width")
    assert result.coords["width"].tolist() == [1, 2, 3]
    q, seed, width = np.meshgrid([0.5, 1.0], [0, 1], [1, 2, 3], indexing="ij")
    np.testing.assert_array_equal(result.final.x[..., 0], q + 10 * width + 100 * seed)
    np.testing.assert_array_equal(result.metrics["x"][..., -1, 1], q + 10 * width + 100 * seed)
    assert result.num_steps.shape == (2, 2, 3)


def test_final_states_may_differ_in_shape_between_static_values():
    def make(static: dict[str, Any]) -> Program:
        def start(key: jax.Array, member: dict[str, jax.Array]) -> tuple[State, Walk]:
            del key, member
            return State(jnp.ones(static["width"])), Walk(1.0, 0.0, jnp.zeros(1))

        return Program(start, walk, 1, lambda state, info, problem: {"n": state.x.sum()})

    result = sweep(make, [Axis("width", [2, 3], static=True), Axis("seed", [0])])
    np.testing.assert_array_equal(result.metrics["n"][:, 0, -1], [2, 3])
    assert [final.x.shape for final in result.finals] == [(1, 2), (1, 3)]
    with pytest.raises(ValueError, match="differ in shape"):
        _ = result.final


def test_what_draws_nothing_needs_no_seeds():
    def halve(state: Any, problem: Any) -> tuple[Any, Any]:
        return problem * state, ()

    def start(key: None, member: dict[str, Any]) -> tuple[Any, Any]:
        assert key is None
        return jnp.ones(2), member["q"]

    result = sweep(lambda _: Program(start, halve, 3), [Q], block_size=2)
    np.testing.assert_array_equal(result.final, np.tile(Q.coords[:, None] ** 3, (1, 2)))


def test_records_must_agree_between_static_values():
    def steps(static: dict[str, Any]) -> Program:
        return Program(init, walk, static["n"])

    def names(static: dict[str, Any]) -> Program:
        return Program(init, walk, 3, lambda state, info, problem: {static["n"]: state.x})

    axes = [Q, SEEDS]
    with pytest.raises(InputError, match="same iterations"):
        sweep(steps, [Axis("n", [3, 4], static=True), *axes])
    with pytest.raises(InputError, match="metrics must not change"):
        sweep(names, [Axis("n", ["a", "b"], static=True), *axes])


def test_inputs_reach_their_member():
    def make(static: dict[str, Any]) -> Program:
        def start(key: jax.Array, member: dict[str, Any]) -> tuple[State, Walk]:
            del key
            return State(member["x0"]["part"]), Walk(1.0, 0.0, jnp.zeros(1))

        return Program(start, walk, 0)

    axes = [Axis("q", [0.5, 1.0]), Axis("width", ["a", "b"], static=True), SEEDS]
    values = np.arange(2 * 2 * 4 * 3.0).reshape(2, 2, 4, 3)
    result = sweep(make, axes, inputs={"x0": {"part": values}}, block_size=3)
    np.testing.assert_array_equal(result.final.x, values)
    with pytest.raises(InputError, match=r"leading shape \(2, 2, 4\), got shape \(4, 3\)"):
        sweep(make, axes, inputs={"x0": {"part": values[0, 0]}})


def test_traced_axes_share_one_compilation_and_new_values_need_none():
    def compiled(axes: list[Axis]) -> int:
        with compilations("run_chunk") as found:
            sweep(program, axes)
        return len(found)

    assert compiled([Axis("scale", [0.1, 0.2]), Q, SEEDS]) == 1
    assert compiled([Axis("scale", [0.3, 0.4]), Axis("q", [0.1, 0.9, 0.3]), SEEDS]) == 0
    # One for each static value at most; here both values make the same program.
    static = Axis("kind", ["a", "b"], static=True)
    assert compiled([static, Axis("scale", [0.3, 0.4]), Q, SEEDS]) == 0


def test_what_does_not_depend_on_the_member_is_kept_once():
    shapes = shapes_of(program({}), {"q": jnp.ones(()), "seed": jnp.int32(0)})
    assert shapes.mapped == (0, None, None)


def test_random_keys_may_be_part_of_the_state():
    def kernel(state: jax.Array, problem: Any) -> tuple[jax.Array, Any]:
        del problem
        return jax.random.fold_in(state, 1), ()

    def make(static: dict[str, Any]) -> Program:
        return Program(lambda key, member: (key, ()), kernel, 2)

    result = sweep(make, [SEEDS], block_size=3)
    key = jax.random.fold_in(jax.random.fold_in(keys({"seed": 11})[0], 1), 1)
    np.testing.assert_array_equal(result.final[2], jax.random.key_data(key))
