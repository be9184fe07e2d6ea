"""Sweeps against one member at a time, and their promises on blocks, devices and compilations."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.iterate import Event, Interrupted, every, iterate
from fineq.sweep import Axis, Program, SweepResult, sweep
from fineq.sweep.axes import assemble, block_layout, parts_of
from fineq.sweep.program import keys, shapes_of


class State(NamedTuple):
    x: Any


class Info(NamedTuple):
    step: Any


class Walk(NamedTuple):
    """x <- q x + scale noise, with a table that all members share."""

    q: Any
    scale: Any
    table: Any


def walk(key: jax.Array, state: State, problem: Walk) -> tuple[State, Info]:
    noise = jax.random.normal(key, jnp.shape(state.x))
    x = problem.q * state.x + problem.scale * noise + problem.table[0]
    return State(x), Info(jnp.max(jnp.abs(x - state.x)))


def init(key: jax.Array, member: dict[str, jax.Array]) -> tuple[State, Walk]:
    x = jax.random.normal(key, (3,))
    return State(x), Walk(member["q"], member.get("scale", 0.1), jnp.zeros(4))


def measured(state: State, info: Info, problem: Walk) -> dict[str, jax.Array]:
    del problem
    return {"x": state.x, "step": info.step}


def program(static: dict[str, Any]) -> Program:
    del static
    return Program(init, walk, 30, measured)


Q = Axis("q", [0.5, 0.75, 0.25])
SEEDS = Axis("seed", [3, 0, 11, 4])
GROWING = Axis("q", [0.5, 2.0**100, 0.25])
ARRAYS = ("metrics", "valid", "converged", "diverged", "diverged_at", "num_steps", "finals")


def bits(result: SweepResult) -> list[bytes]:
    return [
        np.asarray(x).tobytes() for name in ARRAYS for x in jax.tree.leaves(getattr(result, name))
    ]


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
    for a, b in zip(jax.tree.leaves(whole.metrics), jax.tree.leaves(parts.metrics), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=4 * 4 * 2.0**-52 * 4)


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
            x = member["q"] + 10.0 * static["width"] + 100.0 * member["seed"]
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


def test_traced_axes_share_one_compilation_and_new_values_need_none(
    caplog: pytest.LogCaptureFixture,
):
    def compilations(axes: list[Axis]) -> int:
        caplog.clear()
        sweep(program, axes)
        return sum("compilation of jit(run_chunk)" in message for message in caplog.messages)

    with jax.log_compiles():
        assert compilations([Axis("scale", [0.1, 0.2]), Q, SEEDS]) == 1
        assert compilations([Axis("scale", [0.3, 0.4]), Axis("q", [0.1, 0.9, 0.3]), SEEDS]) == 0
        # One for each static value at most; here both values make the same program.
        static = Axis("kind", ["a", "b"], static=True)
        assert compilations([static, Axis("scale", [0.3, 0.4]), Q, SEEDS]) == 0


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


@pytest.mark.parametrize(
    ("num_members", "largest", "devices", "expected"),
    [
        (12, 12, 1, (12, 1)),
        (12, 5, 1, (4, 3)),
        (13, 5, 1, (5, 3)),
        (10, 9, 1, (5, 2)),
        (7, 7, 4, (8, 1)),
        (9, 6, 4, (4, 3)),
        (3, 1, 3, (3, 1)),
    ],
)
def test_blocks_are_whole_on_the_devices_and_nearly_full(
    num_members: int, largest: int, devices: int, expected: tuple[int, int]
):
    size, count = block_layout(num_members, largest, devices)
    assert (size, count) == expected
    assert size % devices == 0
    assert num_members <= size * count < num_members + size


def test_blocks_shrink_to_the_memory_there_is():
    everything = sweep(program, [Q, SEEDS])
    small = sweep(program, [Q, SEEDS], memory=everything.peak_bytes // 2)
    assert 1 <= small.block_size < everything.block_size
    assert small.peak_bytes <= everything.peak_bytes // 2
    with pytest.raises(ResourceError, match=r"1 members needs .* lower the size of the problem"):
        sweep(program, [Q, SEEDS], memory=100)


def test_assembling_and_taking_apart_are_inverse():
    axes = [Axis("a", [1, 2]), Axis("b", ["x", "y", "z"], static=True), SEEDS]
    whole = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    parts = list(parts_of(axes, {"table": whole}))
    assert [static for static, _ in parts] == [{"b": "x"}, {"b": "y"}, {"b": "z"}]
    taken = [members.take(np.arange(members.num))["table"] for _, members in parts]
    assert taken[1].shape == (8, 5)
    np.testing.assert_array_equal(taken[1].reshape(2, 4, 5), whole[:, 1])
    np.testing.assert_array_equal(assemble(axes, taken), whole)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Axis("q", []), "axis q must have at least one value"),
        (lambda: Axis("q", ["a"]), "axis q must hold numbers"),
        (lambda: Axis("q", [[1.0]]), "axis q must hold numbers"),
        (lambda: Axis("q", [np.nan]), "axis q must be finite"),
        (lambda: Axis("seed", [-1]), "seeds must be integers from 0"),
        (lambda: Axis("seed", [2**31]), "seeds must be integers from 0"),
        (lambda: Axis("seed", [0.5]), "seeds must be integers"),
        (lambda: sweep(program, [Q]), "walk draws, and needs an axis named seed"),
        (lambda: sweep(program, [Q, Q, SEEDS]), "distinct names"),
        (lambda: sweep(program, [Q, SEEDS], block_size=0), "block_size must be at least 1, got 0"),
        (lambda: sweep(program, [Q, SEEDS], memory=0), "memory must be at least 1, got 0"),
    ],
)
def test_bad_axes_are_refused_with_a_sentence(call: Any, said: str):
    with pytest.raises(InputError, match=said):
        call()


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def load(self, name: str, like: Any) -> Any | None:
        return self.kept.get(name)

    def save(self, name: str, tree: Any) -> None:
        self.kept[name] = jax.tree.map(np.array, tree)


def test_an_interrupted_sweep_resumes_in_the_middle_of_a_block():
    seen: list[Event] = []

    def stop(event: Event) -> None:
        seen.append(event)
        if event.members_done == 4 and event.iteration == 10:
            signal.raise_signal(signal.SIGINT)

    def run(**options: Any) -> SweepResult:
        return sweep(program, [Q, SEEDS], block_size=4, chunk_seconds=0.0, **options)

    store = Memory()
    with pytest.raises(Interrupted):
        run(store=store, progress=stop)
    assert sorted(store.kept) == ["sweep-0-4x1-0", "sweep-0-4x1-1"]
    first = len(seen)
    resumed = run(store=store, progress=seen.append)
    assert bits(resumed) == bits(run())
    after = [event for event in seen[first:] if event.phase == "running"]
    assert (after[0].members_done, after[0].iteration) == (4, 30)  # the first block was kept
    assert (after[1].members_done, after[1].iteration) == (4, 11)
    assert seen[-1].phase == "finished"
    assert seen[-1].members_done == seen[-1].members == 12


DEVICES = """
import jax, numpy as np, sys
jax.config.update("jax_enable_x64", True)
from tests.test_sweep import program, Q, SEEDS
from fineq.sweep import sweep
assert jax.device_count() == 8
for devices in (8, 5, 1):
    result = sweep(program, [Q, SEEDS], devices=jax.devices()[:devices])
    assert result.block_size == -(-12 // devices) * devices, result.block_size
    np.save(f"{sys.argv[1]}/{devices}.npy", result.metrics["x"])
"""


def test_spread_over_devices_it_is_the_same_to_rounding(tmp_path: Path):
    from tests.test_kill import run_python

    run_python(DEVICES, str(tmp_path), XLA_FLAGS="--xla_force_host_platform_device_count=8")
    here = sweep(program, [Q, SEEDS]).metrics["x"]
    for devices in (8, 5, 1):
        there = np.load(tmp_path / f"{devices}.npy")
        np.testing.assert_allclose(there, here, rtol=0, atol=4 * 4 * 2.0**-52 * 4)
