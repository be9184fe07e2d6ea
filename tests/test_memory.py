"""What does not fit is refused before anything is compiled or laid out for each member."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import ResourceError
from fineq.iterate.session import memory_errors
from fineq.shell.main import main
from fineq.studies.area import area_of
from fineq.sweep import Axis, Program, blocks, over_members, sweep
from fineq.sweep import build as building
from fineq.sweep import members as evaluating
from fineq.sweep.axes import parts_of
from fineq.sweep.memory import check_kept, check_shapes, host_bytes, tree_bytes

LAYOUTS = {
    "version 2": ("0::/a/b\n", {"a/memory.max": "4096\n", "a/b/memory.max": "max\n"}),
    "version 2, the narrower inside": ("0::/a/b\n", {"a/memory.max": "9\n", "a/b/memory.max": "7"}),
    "version 2, seen from inside": ("0::/\n", {"memory.max": "4096\n"}),
    "version 2, named as outside": ("0::/docker/x\n", {"memory.max": "4096\n"}),
    "version 1": ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "4096\n"}),
    "version 1, nested": (
        "5:cpu,cpuacct:/x\n4:hugetlb,memory:/a/b\n0::/\n",
        {
            "memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/a/memory.limit_in_bytes": "4096\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    ),
    "both": ("4:memory:/a\n0::/u\n", {"unified/u/memory.max": "4096", "memory.max": "max"}),
    "none": ("", {}),
    "another group's": ("0::/a\n", {"b/memory.max": "5"}),
}
LEAST = {"version 2, the narrower inside": 7, "none": None, "another group's": None}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_narrowest_control_group_counts(tmp_path: Path, name: str):
    membership, files = LAYOUTS[name]
    (tmp_path / "membership").write_text(membership)
    for path, text in files.items():
        (tmp_path / "cgroup" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / path).write_text(text)
    machine = host_bytes(tmp_path / "nothing", tmp_path / "nothing")
    found = host_bytes(tmp_path / "cgroup", tmp_path / "membership")
    assert found == (LEAST.get(name, 4096) or machine)


def test_a_refusal_says_how_many_fit():
    check_kept("stage", 10, 100, available=2000)
    with pytest.raises(ResourceError, match=r"stage: 11 members .* at most 10 fit"):
        check_kept("stage", 11, 100, available=2000)
    with pytest.raises(ResourceError, match="not even one fits: lower the size of the problem"):
        check_kept("stage", 1, 2000, available=2000)


def test_shapes_are_judged_without_their_arrays():
    check_shapes("matrix", jnp.zeros, ())
    with pytest.raises(ResourceError, match=r"matrix needs at least 7\.45e\+03 GiB"):
        check_shapes(
            "matrix", lambda x: x[:, None] * x[None], jax.ShapeDtypeStruct((10**6,), float)
        )


@pytest.mark.parametrize("error", [MemoryError(), "RESOURCE_EXHAUSTED: out of memory"])
def test_memory_that_runs_out_is_one_sentence(error: Any):
    raised = error if isinstance(error, MemoryError) else jax.errors.JaxRuntimeError(error)
    with pytest.raises(ResourceError, match="facts ran out of memory"), memory_errors("facts"):
        raise raised
    with pytest.raises(jax.errors.JaxRuntimeError), memory_errors("facts"):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def growing(static: dict[str, Any]) -> Program:
    """A member keeps 50 numbers and records 2 at each of 11 iterations."""

    def init(key: Any, member: Any) -> Any:
        return member["x"] * jnp.ones(50), jnp.ones(3)

    def kernel(state: Any, problem: Any) -> Any:
        return 0.5 * state, ()

    def metrics(state: Any, info: Any, problem: Any) -> dict[str, Any]:
        return {"ends": state[:2]}

    return Program(init, kernel, 10, metrics, list(range(11)))


def test_what_members_keep_is_foreseen_to_the_byte():
    axes = [Axis("x", [1.0, 2.0, 3.0]), Axis("seed", range(4))]
    result = sweep(growing, axes)
    program = growing({})
    shapes = building.shapes_of(program, {"x": jnp.ones(()), "seed": jnp.int32(0)})
    each = building.kept_bytes(program, shapes, 11)
    kept = (result.final, result.metrics, result.num_steps, result.converged, result.diverged)
    num_steps = result.num_steps.astype(np.int32)  # as it is carried
    assert 12 * each == tree_bytes(kept) - result.num_steps.nbytes + num_steps.nbytes


def fifty(member: dict[str, Any]) -> Any:
    return member["x"] * jnp.ones(50)


@pytest.fixture
def compiles_nothing(monkeypatch: pytest.MonkeyPatch):
    for module in (building, evaluating):
        monkeypatch.setattr(module, "compile_ahead", None)


@pytest.mark.usefixtures("compiles_nothing")
@pytest.mark.parametrize("static", [False, True])
def test_what_members_keep_must_fit_on_the_host(monkeypatch: pytest.MonkeyPatch, static: bool):
    def limited(name: str, members: int, each: int, _: int) -> None:
        check_kept(name, members, each, available=12 * 2 * each - 1)

    monkeypatch.setattr(blocks, "check_kept", limited)
    # Of many members, those of other static values are counted in.
    monkeypatch.setattr(blocks, "MANY", 1 if static else blocks.MANY)
    axes = [Axis("x", [1.0, 2.0, 3.0]), Axis("seed", range(4 - 2 * static))]
    axes += [Axis("kind", "ab", static=True)] * static
    for run in (sweep, over_members):
        with pytest.raises(ResourceError, match=r"stage: 12 members .* at most 11 fit"):
            run(growing if run is sweep else fifty, axes, name="stage")


@pytest.mark.usefixtures("compiles_nothing")
@pytest.mark.parametrize(("run", "what"), [(sweep, growing), (over_members, fifty)])
def test_a_member_or_a_block_too_large_for_the_device_is_refused(run: Any, what: Any):
    axes = [Axis("x", [1.0]), Axis("seed", range(4))]
    with pytest.raises(ResourceError, match=r"block of 1 members .* lower the size of the problem"):
        run(what, axes, memory=300)
    with pytest.raises(ResourceError, match=r"block of 4 members .* lower block_size"):
        run(what, axes, memory=1000, block_size=4)


def test_ranges_are_not_laid_out():
    seeds = Axis("seed", range(2**31 - 1))
    assert len(seeds) == 2**31 - 1
    assert seeds.values == range(2**31 - 1)
    np.testing.assert_array_equal(Axis("seed", range(3, 9, 2)).coords, [3, 5, 7])
    ((_, members),) = parts_of([Axis("x", [0.5, 1.0]), seeds], {})
    assert members.num == 2 * (2**31 - 1)
    taken = members.take(np.array([0, 2**31 - 2, 2**31, members.num - 1]))
    np.testing.assert_array_equal(taken["x"], [0.5, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(taken["seed"], [0, 2**31 - 2, 1, 2**31 - 2])


@pytest.mark.parametrize(
    ("area", "words", "code", "said"),
    [
        ("nlqr", "experiment=nlqr/exact_recovery seeds=100000000", 4, "at most"),
        ("nlqr", "experiment=nlqr/linear_convergence seeds=100000000", 4, "at most"),
        ("nlqr", "experiment=nlqr/landscape law=sphere system.n=100000", 4, "size of the problem"),
        ("nlqr", "seeds=100000000000", 2, "at most 2147483647, got 100000000000"),
        ("nlqr", "seeds=10000000000000000000", 2, "at most 2147483647"),
        ("nlqr", "descent.num_steps=3000000000", 2, "at most 2147483647"),
        ("nlqr", "sweep.floors.num_steps=[3000000000]", 2, "at most 2147483647"),
        ("pift", "experiment=pift/linear_convergence data.d=100000", 4, "data.d"),
        ("pift", "schedule.num_steps=2000000000", 4, "schedule.num_steps"),
        ("ntk", "experiment=ntk/coupling seeds=100000000", 4, "at most"),
        ("ntk", "experiment=ntk/decomposition data.num_test=2000000000", 4, "size of the problem"),
    ],
)
def test_commands_that_cannot_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, area: Any, words: str, code: int, said: str
):
    assert main(area_of(area), [*words.split(), f"output={tmp_path / 'out'}"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("fineq: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert not (tmp_path / "out").exists()
