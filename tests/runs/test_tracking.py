"""Event files: medians and quantiles of each combination; a failing tracker touches nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fineq.iterate import Event
from fineq.runs.tracking import FOLDER, Tracker, open_tensorboard
from fineq.sweep import Axis, Program, sweep

STEPS = np.array([0, 1, 2])


class Written:
    """A writer that remembers."""

    def __init__(self, folder: Path):
        self.folder, self.numbers, self.closed = folder, {}, False

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        assert (tag, step) not in self.numbers, "written twice"
        self.numbers[tag, step] = value

    def close(self) -> None:
        self.closed = True


class Opened(dict):
    """The writers by the names of their folders."""

    def __call__(self, folder: Path) -> Written:
        assert folder.name not in self
        return self.setdefault(folder.name, Written(folder))


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def said() -> list[str]:
    return []


def event(rows, swept, num=3, phase: Any = "running", done=0, members=None) -> Event:
    rows = np.asarray(rows, float)
    members = len(rows) if members is None else members
    metrics = {"gap": rows[..., :num]}
    return Event("descent", phase, done, members, num - 1, 2, STEPS[:num], metrics, 1.0, swept)


def test_each_combination_has_its_median_and_quantiles_over_seeds(tmp_path, opened, said):
    seeds, values = np.tile(np.arange(11), 2), np.repeat([0.1, 0.3], 11)
    rows = (np.arange(11) + np.array([[0], [100]])).reshape(22, 1) + np.zeros(3)
    tracker = Tracker(tmp_path, 11, said.append, opened)
    swept = {"system.lipschitz": values, "seed": seeds}
    tracker(event(rows, swept, num=2))
    tracker(event(rows, swept, num=3))
    tracker(event(rows, swept, num=3, phase="finished", done=22))
    tracker.close()
    assert set(opened) == {"lipschitz=0.1", "lipschitz=0.3"}
    for name, begin in (("lipschitz=0.1", 0), ("lipschitz=0.3", 100)):
        writer = opened[name]
        assert writer.closed
        assert writer.folder == tmp_path / FOLDER / name
        expected = {"median": begin + 5, "low": begin + 1, "high": begin + 9}
        assert writer.numbers == {
            (f"descent/gap/{level}", step): value
            for level, value in expected.items()
            for step in (0, 1, 2)
        }
    assert said == []


def test_members_that_diverged_count_no_more_and_where_all_have_there_is_nothing(
    tmp_path, opened, said
):
    rows = [[1.0, 2.0, np.nan], [3.0, np.inf, np.nan]]
    tracker = Tracker(tmp_path, 2, said.append, opened)
    tracker(event(rows, {"seed": np.arange(2)}))
    numbers = opened["all"].numbers
    assert numbers["descent/gap/median", 0] == 2
    assert numbers["descent/gap/median", 1] == 2
    assert ("descent/gap/median", 2) not in numbers


def test_seeds_that_lie_in_several_blocks_are_written_together_at_the_end(tmp_path, opened, said):
    tracker = Tracker(tmp_path, 4, said.append, opened)
    low, high = np.full((2, 3), 1.0), np.full((2, 3), 5.0)
    tracker(event(low, {"seed": np.arange(2)}, members=4))
    tracker(event(low, {"seed": np.arange(2)}, members=4, done=2))
    assert not opened
    tracker(event(high, {"seed": np.arange(2, 4)}, members=4, done=2))
    tracker(event(high, {"seed": np.arange(2, 4)}, members=4, done=4, phase="finished"))
    assert opened["all"].numbers["descent/gap/median", 2] == 3


def test_a_sweep_says_which_members_its_events_are_of(tmp_path, opened, said):
    """Every member's metric is a number that its axes determine."""

    def make(static):
        return Program(
            init=lambda key, member: (member["x"] * 1.0, None),
            step=lambda state, problem: (state, None),
            metrics=lambda state, info, problem: {"value": state + (static["how"] == "b")},
            num_steps=4,
        )

    axes = [Axis("x", [1.0, 2.0]), Axis("how", ["a", "b"], static=True), Axis("seed", range(3))]
    tracker = Tracker(tmp_path, 3, said.append, opened)
    sweep(make, axes, progress=tracker, name="stage", block_size=4)
    tracker.close()
    assert said == []
    assert len(opened) == 4
    for name, writer in opened.items():
        expected = float("x=2" in name) + 1 + ("how=b" in name)
        assert set(writer.numbers.values()) == {expected}


@pytest.mark.parametrize("where", ["open", "write", "close"])
def test_a_tracker_that_fails_says_so_once_and_is_silent_from_then_on(tmp_path, said, where):
    class Failing(Written):
        def add_scalar(self, tag, value, step):
            if where == "write":
                raise OSError("no space left")

        def close(self):
            raise OSError("no space left")

    def open_writer(folder):
        if where == "open":
            raise ImportError("No module named 'tensorboardX'")
        return Failing(folder)

    tracker = Tracker(tmp_path, 2, said.append, open_writer)
    for _ in range(3):
        tracker(event(np.ones((2, 3)), {"seed": np.arange(2)}))
    tracker.close()
    assert len(said) == 1
    assert said[0].startswith("not tracked any further, the run goes on: ")
    assert ("EXTRA=track" if where == "open" else "no space left") in said[0]


def test_what_an_earlier_attempt_tracked_goes(tmp_path, opened, said):
    old = tmp_path / FOLDER / "all" / "events.out"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    Tracker(tmp_path, 2, said.append, opened)
    assert not old.exists()


def test_tensorboard_reads_what_is_written(tmp_path, said):
    pytest.importorskip("tensorboardX", reason="the extra track is not installed")
    from tensorboardX.proto.event_pb2 import (  # pyright: ignore[reportMissingImports]
        Event as Kept,
    )

    tracker = Tracker(tmp_path, 2, said.append, open_tensorboard)
    tracker(event([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], {"seed": np.arange(2)}))
    tracker.close()
    (path,) = (tmp_path / FOLDER / "all").glob("events.out.tfevents.*")
    found, data = {}, path.read_bytes()
    while data:  # a record: length of 8 bytes, its checksum of 4, the record, its checksum of 4
        size = int.from_bytes(data[:8], "little")
        for value in Kept.FromString(data[12 : 12 + size]).summary.value:
            step = Kept.FromString(data[12 : 12 + size]).step
            found[value.tag, step] = value.simple_value
        data = data[16 + size :]
    assert found["descent/gap/median", 2] == 4
    assert len(found) == 9
