"""Blocks, devices, memory and resuming: how members are laid out changes nothing."""

import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.iterate import Event, Interrupted
from fineq.sweep import Axis, SweepResult, sweep
from fineq.sweep.axes import assemble, block_layout, parts_of
from tests.sweep.common import (
    SEEDS,
    Q,
    bits,
    program,
)


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


@pytest.mark.slow
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
        (lambda: sweep(program, Q), "axes must be a list of Axis"),
        (lambda: sweep(program, {"q": [1.0]}), "axes must be a list of Axis"),
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
from tests.sweep.common import program, Q, SEEDS
from fineq.sweep import sweep
assert jax.device_count() == 8
for devices in (8, 5, 1):
    result = sweep(program, [Q, SEEDS], devices=jax.devices()[:devices])
    assert result.block_size == -(-12 // devices) * devices, result.block_size
    np.save(f"{sys.argv[1]}/{devices}.npy", result.metrics["x"])
"""


@pytest.mark.slow
def test_spread_over_devices_it_is_the_same_to_rounding(tmp_path: Path):
    from tests.test_kill import run_python

    run_python(DEVICES, str(tmp_path), XLA_FLAGS="--xla_force_host_platform_device_count=8")
    here = sweep(program, [Q, SEEDS]).metrics["x"]
    for devices in (8, 5, 1):
        there = np.load(tmp_path / f"{devices}.npy")
        np.testing.assert_allclose(there, here, rtol=0, atol=4 * 4 * 2.0**-52 * 4)
