"""Where a run is recorded, in which plans, and how long a chunk takes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.iterate import (
    Event,
    every,
    geometric,
    iterate,
    record_points,
)
from fineq.iterate.record import Pace, next_plan
from tests.iterate.common import HALF, ONE, contraction, measured


@pytest.mark.parametrize(
    ("num_steps", "per_decade", "expected"),
    [(0, 10, [0]), (1, 3, [0, 1]), (100, 3, [0, 1, 2, 5, 10, 22, 46, 100]), (7, 1, [0, 1, 7])],
)
def test_geometric_record_points(num_steps: int, per_decade: int, expected: list[int]):
    np.testing.assert_array_equal(geometric(num_steps, per_decade), expected)


def test_even_record_points_and_given_ones():
    np.testing.assert_array_equal(every(7, 3), [0, 3, 6, 7])
    np.testing.assert_array_equal(every(0), [0])
    np.testing.assert_array_equal(record_points(9, [5, 2, 5]), [0, 2, 5, 9])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: geometric(-1), "num_steps must be between 0"),
        (lambda: geometric(5, 0), "per_decade must be between 1"),
        (lambda: every(5, 0), "k must be between 1"),
        (lambda: record_points(5, [6]), r"record must lie in \[0, 5\]"),
        (lambda: record_points(5, np.asarray([0.5])), "record must hold integers"),
        (lambda: every(2**31), "num_steps must be between 0"),
        (lambda: record_points(2.5), "num_steps must be an integer, got 2.5"),  # type: ignore[arg-type]
        (lambda: record_points(5, np.asarray([[1, 2]])), "record must have 1 axis"),
    ],
)
def test_bad_budgets_and_records_are_refused(call: Any, said: str):
    with pytest.raises(InputError, match=said):
        call()


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_plans_cover_every_record_once_and_all_steps(slots: int):
    iterations = np.asarray([0, 1, 4, 9, 20])
    position, recorded, stops = 0, 0, []
    while recorded < len(iterations):
        plan = next_plan(iterations, recorded, position, 3, slots)
        assert int(plan.begin) == position
        stops += plan.stops[: int(plan.num_records)].tolist()
        recorded += int(plan.num_records)
        assert plan.end > position or int(plan.num_records) > 0
        position = plan.end
    assert stops == iterations.tolist()
    assert position == 20


def test_progress_sees_the_records_so_far():
    events: list[Event] = []
    iterate(
        contraction, ONE, HALF, num_steps=20, metrics=measured, record=every(20),
        chunk_seconds=0.0, progress=lambda e: events.append(e), name="halving",
    )  # fmt: skip
    assert [e.phase for e in events] == ["compiling", *["running"] * 20, "finished"]
    assert {e.stage for e in events} == {"halving"}
    for event in events[1:]:
        np.testing.assert_array_equal(event.metrics["x"], 0.5**event.iterations)
        assert len(event.iterations) == event.iteration + 1
    assert [e.members_done for e in events[-2:]] == [0, 1]


def test_a_chunk_takes_about_its_time_and_grows_no_faster_than_allowed():
    pace = Pace(0.5)
    pace.update(1, 1e-6)
    assert pace.steps == Pace.growth
    pace.update(1000, 0.1)
    assert pace.steps == 5000
    pace.update(10, 100.0)
    assert pace.steps == 1


def test_a_stopped_run_is_recorded_once_more_and_no_further(monkeypatch: pytest.MonkeyPatch):
    chunks: list[Event] = []
    trace = iterate(
        contraction, ONE, jnp.asarray(2.0**100), num_steps=10**6, chunk_seconds=0.0,
        metrics=measured, progress=chunks.append,
    )  # fmt: skip
    assert trace.diverged_at == 11
    assert len(trace.iterations) > 50
    # One step each, the last of them refused, then one record for all that is left.
    assert len([event for event in chunks if event.phase == "running"]) == 11 + 1
