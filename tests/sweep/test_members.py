"""A function over members against plain vmap, and its promises on blocks, devices and resuming."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.iterate import Event, Interrupted
from fineq.keys import key_for
from fineq.sweep import Axis, Table, over_members
from fineq.sweep.members import evaluate

Q = Axis("q", [0.5, 0.75, 0.25])
SEEDS = Axis("seed", [3, 0, 11, 4])


class Drawn(NamedTuple):
    x: Any
    largest: Any


def drawn(member: dict[str, Any]) -> Drawn:
    x = member["q"] * jax.random.normal(key_for(member["seed"], "a test of members"), (3,))
    return Drawn(x, {"of": jnp.max(x), "three": 3})


def by_vmap() -> Drawn:
    q, seed = jnp.meshgrid(Q.coords, SEEDS.coords, indexing="ij")
    return jax.vmap(jax.vmap(lambda q, seed: drawn({"q": q, "seed": seed})))(q, seed)


def assert_close(found: Any, expected: Any) -> None:
    """To a few roundings: fused or not, a normal draw below 8 rounds a few times."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, np.ndarray)
        np.testing.assert_allclose(a, b, rtol=0, atol=8 * 4 * 2.0**-52)


@pytest.mark.parametrize("block_size", [None, 1, 5, 7])
def test_it_is_plain_vmap_in_blocks_of_any_size(block_size: int | None):
    found = over_members(drawn, [Q, SEEDS], block_size=block_size)
    assert found.block_size == {None: 12, 1: 1, 5: 4, 7: 6}[block_size]
    assert jax.tree.structure(found.values) == jax.tree.structure(by_vmap())
    assert_close(found.values, by_vmap())


def test_the_program_has_no_loop_and_the_function_is_traced_once():
    calls = []

    def look(member: dict[str, Any]) -> Any:
        calls.append(member)
        return jnp.sin(member["q"])

    over_members(look, [Q, SEEDS])
    assert len(calls) == 1
    members = {"q": jnp.ones(4)}
    text = evaluate.lower(lambda member: jnp.sin(member["q"]), 4, None, members).as_text()
    assert "while" not in text


def test_seeds_and_even_axes_may_be_missing():
    without = over_members(lambda member: 2 * member["q"], [Q])
    np.testing.assert_array_equal(without.values, 2 * Q.coords)
    alone = over_members(lambda member: member["table"] + 1, [], inputs={"table": np.arange(3.0)})
    np.testing.assert_array_equal(alone.values, [1.0, 2.0, 3.0])
    kinds = Axis("kind", ["a", "bb"], static=True)
    found = over_members(lambda member: len(member["kind"]), [kinds])
    np.testing.assert_array_equal(found.values, [1, 2])


def test_static_axes_and_inputs_stand_where_they_were_given():
    def look(member: dict[str, Any]) -> Any:
        return (
            member["q"]
            + 10 * member["width"]
            + member["table"]["part"] * jnp.asarray(member["seed"], float)
        )

    axes = [Q, Axis("width", [1, 2], static=True), SEEDS]
    table = np.arange(3 * 2 * 4.0).reshape(3, 2, 4)
    q, width, seed = np.meshgrid(Q.coords, [1, 2], SEEDS.coords, indexing="ij")
    found = over_members(look, axes, inputs={"table": {"part": table}}, block_size=5)
    np.testing.assert_allclose(found.values, q + 10 * width + table * seed, rtol=4 * 2.0**-52)
    with pytest.raises(InputError, match=r"leading shape \(3, 2, 4\), got shape \(2, 4\)"):
        over_members(look, axes, inputs={"table": table[0]})


def test_a_table_gives_each_member_its_own_entry_and_never_another():
    known = [Axis("kind", ["a", "b"], static=True), SEEDS]
    table = np.arange(2 * 4 * 2.0).reshape(2, 4, 2)
    axes = [Axis("seed", [11, 3]), Q, known[0]]

    def look(member: dict[str, Any]) -> Any:
        return member["own"] + 100 * member["q"]

    found = over_members(look, axes, inputs={"own": Table(known, table)})
    chosen = table[:, [2, 0]].swapaxes(0, 1)[:, None]
    np.testing.assert_array_equal(found.values, chosen + 100 * Q.coords[:, None, None])
    with pytest.raises(InputError, match="a table has no entry for seed = 5"):
        over_members(look, [Axis("seed", [3, 5]), *axes[1:]], inputs={"own": Table(known, table)})
    with pytest.raises(InputError, match="over kind has no entry for members without it"):
        over_members(look, axes[:2], inputs={"own": Table(known, table)})
    with pytest.raises(InputError, match=r"leading shape \(2, 4\), got shape \(4, 2\)"):
        over_members(look, axes, inputs={"own": Table(known, table[0])})


def test_a_table_over_the_same_values_is_not_copied():
    table = np.arange(4.0)
    laid = Table([SEEDS], table).over([Q, SEEDS])
    assert laid.shape == (3, 4)
    assert np.shares_memory(laid, table)


def test_shapes_must_agree_between_static_values():
    axes = [Axis("width", [2, 3], static=True), SEEDS]
    with pytest.raises(InputError, match=r"members: values differ in shape .* \(2,\), \(3,\)"):
        over_members(lambda member: jnp.ones(member["width"]), axes)


def test_random_keys_come_as_their_data():
    found = over_members(lambda member: jax.random.key(member["seed"]), [SEEDS])
    np.testing.assert_array_equal(found.values[2], jax.random.key_data(jax.random.key(11)))


def test_blocks_shrink_to_the_memory_there_is():
    def look(member: dict[str, Any]) -> Any:
        return jnp.cumsum(member["q"] * jnp.arange(1000.0))

    everything = over_members(look, [Q, SEEDS])
    small = over_members(look, [Q, SEEDS], memory=everything.peak_bytes // 2)
    assert 1 <= small.block_size < everything.block_size == 12
    assert small.peak_bytes <= everything.peak_bytes // 2
    assert_close(small.values / 1e6, everything.values / 1e6)
    with pytest.raises(ResourceError, match=r"1 members needs .* lower the size of the problem"):
        over_members(look, [Q, SEEDS], memory=100)


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.read: list[str] = []

    def load(self, name: str, like: Any) -> Any | None:
        if name in self.kept:
            self.read.append(name)
        return self.kept.get(name)

    def save(self, name: str, tree: Any) -> None:
        self.kept[name] = tree


def test_an_interrupted_evaluation_goes_on_with_the_block_that_is_missing():
    def stop(event: Event) -> None:
        if event.members_done == 8:
            signal.raise_signal(signal.SIGINT)

    store, seen = Memory(), []
    with pytest.raises(Interrupted, match="after 8 of 12 members of members"):
        over_members(drawn, [Q, SEEDS], block_size=4, store=store, progress=stop)
    assert sorted(store.kept) == ["members-0-4x1-0", "members-0-4x1-1"]
    resumed = over_members(drawn, [Q, SEEDS], block_size=4, store=store, progress=seen.append)
    assert store.read == ["members-0-4x1-0", "members-0-4x1-1"]
    whole = over_members(drawn, [Q, SEEDS], block_size=4)
    for a, b in zip(jax.tree.leaves(resumed.values), jax.tree.leaves(whole.values), strict=True):
        assert a.tobytes() == b.tobytes()
    assert [event.phase for event in seen] == ["compiling", "running", "running", "finished"]
    assert [event.members_done for event in seen] == [0, 4, 8, 12]


DEVICES = """
import jax, numpy as np, sys
jax.config.update("jax_enable_x64", True)
from tests.sweep.test_members import drawn, Q, SEEDS
from fineq.sweep import over_members
assert jax.device_count() == 8
for devices in (8, 5, 1):
    found = over_members(drawn, [Q, SEEDS], devices=jax.devices()[:devices])
    assert found.block_size == -(-12 // devices) * devices, found.block_size
    np.save(f"{sys.argv[1]}/{devices}.npy", found.values.x)
"""


def test_spread_over_devices_it_is_the_same_to_rounding(tmp_path: Path):
    from tests.test_kill import run_python

    run_python(DEVICES, str(tmp_path), XLA_FLAGS="--xla_force_host_platform_device_count=8")
    for devices in (8, 5, 1):
        assert_close(np.load(tmp_path / f"{devices}.npy"), by_vmap().x)


def test_no_axes_are_one_member():
    assert over_members(lambda member: jnp.float32(2.0), []).values == np.float32(2.0)
