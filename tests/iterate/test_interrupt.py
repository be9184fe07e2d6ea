"""Signals: a run stops between chunks, keeps its work and goes on to the same bits."""

import hashlib
import os
import signal
import threading
from typing import Any

import jax
import numpy as np
import pytest

from fineq.iterate import (
    Event,
    Interrupted,
    Terminated,
    interrupt,
    interruptible,
    iterate,
)
from tests.iterate.common import (
    HALF,
    KEY,
    ONE,
    contraction,
    measured,
    same,
    walk,
)


class Memory:
    """A store in memory that may raise a signal when saved to."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def load(self, name: str, like: Any) -> Any | None:
        assert jax.tree.structure(like) == jax.tree.structure(self.kept.get(name, like))
        return self.kept.get(name)

    def save(self, name: str, tree: Any) -> None:
        self.kept[name] = jax.tree.map(np.array, tree)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_chunks_keeps_the_work_and_resumes_bitwise(number: signal.Signals):
    def stop_once(event: Event) -> None:
        if event.iteration >= 20 and not stopped:
            stopped.append(event.iteration)
            signal.raise_signal(number)

    def run(**options: Any) -> Any:
        return iterate(
            walk, ONE, HALF, num_steps=60, key=KEY, metrics=measured, chunk_seconds=0.0, **options
        )

    stopped: list[int] = []
    store, before = Memory(), signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"{number.name} at iteration 2") as caught:
        run(store=store, progress=stop_once)
    assert isinstance(caught.value, Terminated) == (number == signal.SIGTERM)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) == before
    (kept,) = store.kept.values()
    assert 20 <= int(kept.position) <= 22

    events: list[Event] = []
    resumed = run(store=store, progress=events.append, save_seconds=0.0)
    assert same(resumed, run())
    assert next(e.iteration for e in events if e.phase == "running") > 20
    again: list[Event] = []
    assert same(run(store=store, progress=again.append), resumed)
    assert [event.phase for event in again] == ["compiling", "finished"]


def test_a_second_ctrl_c_raises_at_once_and_handlers_return():
    before = signal.getsignal(signal.SIGINT)
    said: list[signal.Signals] = []
    with pytest.raises(KeyboardInterrupt), interruptible(said.append):  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert said == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) == before


def busy() -> None:
    """One long call during which Python runs no signal handler, as while XLA compiles."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000)


def interrupt_after(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_a_request_is_heard_while_the_program_cannot_listen():
    happened: list[str] = []
    with interruptible(lambda number: happened.append(number.name)) as interruption:
        timer = interrupt_after(0.01)
        busy()
        happened.append("returned")
        timer.join()
        assert interruption.signal == signal.SIGINT
    assert happened == ["SIGINT", "returned"]
    assert signal.set_wakeup_fd(-1) == -1


def test_a_second_request_that_cannot_be_obeyed_abandons(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupt, "GRACE", 0.01)
    happened: list[str] = []

    with interruptible(lambda _: happened.append("heard"), lambda: happened.append("end")):
        timers = [interrupt_after(0.01), interrupt_after(0.1)]
        busy()
        happened.append("returned")
        for timer in timers:
            timer.join()
    assert happened == ["heard", "end", "returned"]


def test_a_request_is_obeyed_before_a_stage_compiles_and_after():
    with interruptible(), pytest.raises(Interrupted, match="before iterate"):  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        iterate(contraction, ONE, HALF, num_steps=5)

    def stop(event: Event) -> None:
        assert event.phase == "compiling"
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated, match="SIGTERM when iterate was compiled"):
        iterate(contraction, ONE, HALF, num_steps=5, progress=stop)


def test_the_outermost_interruptible_counts():
    with interruptible() as outer:
        with interruptible() as inner:
            assert inner is outer
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            iterate(contraction, ONE, HALF, num_steps=5)
        assert outer.signal == signal.SIGINT


def test_it_runs_outside_the_main_thread():
    traces: list[Any] = []
    thread = threading.Thread(
        target=lambda: traces.append(iterate(contraction, ONE, HALF, num_steps=5))
    )
    thread.start()
    thread.join()
    assert float(traces[0].state.x) == 2.0**-5


def test_a_signal_in_the_last_chunk_is_not_lost():
    def stop(event: Event) -> None:
        if event.phase == "running" and event.iteration == 5:
            signal.raise_signal(signal.SIGINT)

    def stop_late(event: Event) -> None:
        if event.phase == "finished":
            signal.raise_signal(signal.SIGINT)

    for progress in (stop, stop_late):
        store = Memory()
        with pytest.raises(Interrupted):
            iterate(contraction, ONE, HALF, num_steps=5, store=store, progress=progress)
        assert int(store.kept["iterate"].num_recorded) == 6
