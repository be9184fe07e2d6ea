"""The driver against closed forms, and its promise that chunks change nothing."""

import hashlib
import os
import signal
import threading
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.iterate import (
    Carry,
    Event,
    Interrupted,
    Terminated,
    advance,
    check_step,
    every,
    geometric,
    interrupt,
    interruptible,
    iterate,
    record_points,
    start,
    takes_key,
)
from fineq.iterate.chunk import Layout, Rules, buffers, run_chunk
from fineq.iterate.record import Pace, make_plan, next_plan


class State(NamedTuple):
    x: Any


class Info(NamedTuple):
    step: Any


def contraction(state: State, problem: Any) -> tuple[State, Info]:
    """x <- q x, so that x_t = q^t x_0; with q a power of two without any rounding."""
    x = problem * state.x
    return State(x), Info(jnp.max(jnp.abs(x - state.x)))


def walk(key: jax.Array, state: State, problem: Any) -> tuple[State, Info]:
    noise = jax.random.normal(key, jnp.shape(state.x))
    return State(problem * state.x + noise), Info(jnp.max(jnp.abs(noise)))


def measured(state: State, info: Info, problem: Any) -> dict[str, jax.Array]:
    return {"x": state.x, "step": info.step, "twice": 2 * problem * jnp.ones(2)}


def step_length(info: Info) -> jax.Array:
    return info.step


HALF = jnp.asarray(0.5)
ONE = State(jnp.asarray(1.0))
KEY = jax.random.key(5)


def same(a: Any, b: Any) -> bool:
    """Whether two results agree bit for bit, times aside."""
    first, second = (jax.tree.leaves(x._replace(compile_seconds=0, run_seconds=0)) for x in (a, b))
    return [np.asarray(x).tobytes() for x in first] == [np.asarray(x).tobytes() for x in second]


def test_geometric_contraction_has_its_closed_form_at_the_record_points():
    trace = iterate(contraction, ONE, HALF, num_steps=200, metrics=measured)
    assert trace.iterations[0] == 0
    assert trace.iterations[-1] == 200
    np.testing.assert_array_equal(trace.metrics["x"], 0.5**trace.iterations)
    np.testing.assert_array_equal(trace.metrics["step"][1:], 0.5 ** trace.iterations[1:])
    assert np.isnan(trace.metrics["step"][0])  # no step has been made
    assert trace.metrics["twice"].shape == (len(trace.iterations), 2)
    assert trace.valid.all()
    assert (trace.stop_reason, trace.num_steps, trace.diverged_at) == ("budget", 200, 0)
    assert float(trace.state.x) == 0.5**200


@pytest.mark.parametrize("exponent", [1, 7, 20])
def test_tolerance_stops_at_the_predicted_iteration(exponent: int):
    # The t-th step has length 2^-t, so it is at most 2^-k first for t = k.
    trace = iterate(
        contraction,
        ONE,
        HALF,
        num_steps=64,
        metrics=measured,
        record=every(64, 3),
        until=step_length,
        tolerance=2.0**-exponent,
    )
    assert (trace.stop_reason, trace.num_steps) == ("tolerance", exponent)
    assert float(trace.state.x) == 2.0**-exponent
    np.testing.assert_array_equal(trace.valid, trace.iterations <= exponent)
    frozen = 0.5 ** np.minimum(trace.iterations, exponent)
    np.testing.assert_array_equal(trace.metrics["x"], frozen)


@pytest.mark.parametrize("until", [None, step_length], ids=["budget", "tolerance"])
def test_divergence_keeps_the_last_good_state_and_the_iteration(until: Any):
    # 2^(100 t) overflows float64 (2^1024) first for t = 11.
    trace = iterate(
        contraction, ONE, jnp.asarray(2.0**100), num_steps=40, metrics=measured,
        record=every(40), until=until,
    )  # fmt: skip
    assert (trace.stop_reason, trace.num_steps, trace.diverged_at) == ("diverged", 10, 11)
    assert float(trace.state.x) == 2.0**1000
    np.testing.assert_array_equal(trace.valid, trace.iterations <= 10)
    np.testing.assert_array_equal(trace.metrics["x"][:11], 2.0 ** (100.0 * np.arange(11)))
    assert np.isnan(trace.metrics["x"][11:]).all()


def test_a_caller_may_declare_divergence():
    def above(state: State, info: Info) -> jax.Array:
        del info
        return state.x > 100.0

    trace = iterate(contraction, ONE, jnp.asarray(2.0), num_steps=40, diverged=above)
    assert (trace.stop_reason, trace.diverged_at, float(trace.state.x)) == ("diverged", 7, 64.0)


def test_a_refused_member_stays_even_if_the_next_noise_were_harmless():
    noise = np.asarray([jax.random.normal(jax.random.fold_in(KEY, t)) for t in range(40)])
    bound = np.sort(np.abs(noise))[-2]  # exceeded by one step only
    first = int(np.argmax(np.abs(noise)))
    assert first < 39
    trace = iterate(
        walk, ONE, HALF, num_steps=40, key=KEY, diverged=lambda state, info: info.step > bound
    )
    assert (trace.num_steps, trace.diverged_at) == (first, first + 1)


@pytest.mark.parametrize("stochastic", [False, True])
def test_results_are_the_same_bits_whatever_the_chunks(
    stochastic: bool, monkeypatch: pytest.MonkeyPatch
):
    step, key = (walk, KEY) if stochastic else (contraction, None)
    state, problem = State(jnp.linspace(0.1, 1.0, 5)), jnp.asarray(0.9)

    def run() -> Any:
        return iterate(step, state, problem, num_steps=300, key=key, metrics=measured)

    whole = run()
    rng = np.random.default_rng(1)
    for growth in ("one step", "random", "one record"):

        def update(self: Pace, steps: int, elapsed: float, growth: str = growth) -> None:
            self.steps = {"one step": 1, "one record": 10**6}.get(growth, int(rng.integers(1, 90)))

        monkeypatch.setattr(Pace, "update", update)
        slots = 1 if growth == "one record" else 1024
        monkeypatch.setattr("fineq.iterate.chunk.SLOTS", slots)
        assert same(run(), whole)


def test_key_of_step_t_is_folded_in_t():
    trace = iterate(walk, ONE, HALF, num_steps=6, key=KEY, metrics=measured, record=every(6))
    x = 1.0
    for t in range(6):
        x = 0.5 * x + float(jax.random.normal(jax.random.fold_in(KEY, t)))
        # One multiplication and one addition, perhaps fused: two roundings.
        assert trace.metrics["x"][t + 1] == pytest.approx(x, abs=4 * 2.0**-52)


def test_without_jit_it_is_the_same_run():
    compiled, plain = (
        iterate(walk, ONE, HALF, num_steps=5, key=KEY, metrics=measured, jit=jit)
        for jit in (True, False)
    )
    # A compiler may fuse a multiplication and an addition: one rounding a step, none amplified.
    np.testing.assert_allclose(plain.metrics["x"], compiled.metrics["x"], rtol=0, atol=1e-15)
    assert plain.compile_seconds == 0.0


def test_python_numbers_and_keys_may_be_state():
    def step(state: dict[str, Any], problem: Any) -> tuple[dict[str, Any], Any]:
        key, draw = jax.random.split(state["key"])
        return {"key": key, "x": state["x"] + problem * jax.random.normal(draw)}, ()

    start_state = {"key": KEY, "x": 0.0}
    trace = iterate(step, start_state, 1.0, num_steps=3)
    key, x = KEY, 0.0
    for _ in range(3):
        key, draw = jax.random.split(key)
        x += float(jax.random.normal(draw))
    assert jnp.array_equal(jax.random.key_data(trace.state["key"]), jax.random.key_data(key))
    assert float(trace.state["x"]) == pytest.approx(x, abs=1e-15)


def test_the_callers_arrays_survive():
    x = jnp.arange(4.0)
    iterate(contraction, State(x), HALF, num_steps=2)
    iterate(contraction, State(x), HALF, num_steps=2)
    np.testing.assert_array_equal(x, np.arange(4.0))


def test_new_numbers_compile_nothing(caplog: pytest.LogCaptureFixture):
    def run(q: float, num_steps: int, tolerance: float) -> int:
        caplog.clear()
        iterate(
            contraction, State(jnp.full(7, q)), jnp.asarray(q), num_steps=num_steps,
            metrics=measured, record=every(num_steps, num_steps // 5),
            until=step_length, tolerance=tolerance,
        )  # fmt: skip
        return sum("compilation of jit(run_chunk)" in m for m in caplog.messages)

    with jax.log_compiles():
        assert run(0.5, 50, 0.0) == 1
        assert run(0.25, 50, 1e-9) == 0
        assert run(0.75, 100, 1e-3) == 0


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


def test_steps_say_what_is_wrong_with_them():
    def wrong_names(x: Any, problem: Any) -> Any:
        return x, problem

    def wrong_shape(state: State, problem: Any) -> Any:
        return State(jnp.stack([state.x, problem])), ()

    def wrong_dtype(state: State, problem: Any) -> Any:
        return State(state.x.astype(jnp.float32)), ()

    def no_info(state: State, problem: Any) -> Any:
        return state.x * problem

    assert takes_key(walk)
    assert not takes_key(jax.jit(contraction))
    with pytest.raises(ValueError, match=r"\(key, state, problem\).*got \(x, problem\)"):
        takes_key(wrong_names)
    with pytest.raises(ValueError, match=r"state\.x from float64\[\] to float64\[2\]"):
        check_step(wrong_shape, ONE, HALF)
    with pytest.raises(ValueError, match=r"state\.x from float64\[\] to float32\[\]"):
        iterate(wrong_dtype, ONE, HALF, num_steps=1)
    with pytest.raises(ValueError, match="pair"):
        check_step(no_info, ONE, HALF)
    with pytest.raises(ValueError, match="walk takes a key"):
        iterate(walk, ONE, HALF, num_steps=1)


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


def test_float32_stays_float32():
    trace = iterate(
        contraction,
        State(jnp.ones(3, jnp.float32)),
        jnp.float32(0.5),
        num_steps=4,
        metrics=measured,
    )
    assert trace.state.x.dtype == jnp.float32
    assert trace.metrics["x"].dtype == np.float32


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
