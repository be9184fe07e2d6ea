"""The driver against closed forms, and its promise that chunks change nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.iterate import (
    check_step,
    every,
    iterate,
    takes_key,
)
from fineq.iterate.record import Pace
from tests.compiled import compilations
from tests.iterate.common import (
    HALF,
    KEY,
    ONE,
    Info,
    State,
    contraction,
    measured,
    same,
    step_length,
    walk,
)


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


@pytest.mark.slow
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


def test_new_numbers_compile_nothing():
    def run(q: float, num_steps: int, tolerance: float) -> int:
        with compilations("run_chunk") as found:
            iterate(
                contraction, State(jnp.full(7, q)), jnp.asarray(q), num_steps=num_steps,
                metrics=measured, record=every(num_steps, num_steps // 5),
                until=step_length, tolerance=tolerance,
            )  # fmt: skip
        return len(found)

    assert run(0.5, 50, 0.0) == 1
    assert run(0.25, 50, 1e-9) == 0
    assert run(0.75, 100, 1e-3) == 0


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
