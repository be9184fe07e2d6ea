"""`solve` and `unroll` on iterations whose every state is known in closed form."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from fineq.errors import InputError
from fineq.iterate import Method, Status, method, solve, static, unroll
from tests.compiled import compilations


@method
class Descent(Method):
    """Gradient descent on ½ h x²: x_t = (1 - η h)^t x_0."""

    step_size: Any
    tolerance: Any = 0.0
    limit: Any = jnp.inf
    power: int = static(default=1)

    def init(self, key: Array | None, problem: Array, start: Array | None) -> Array:
        return jnp.ones_like(problem) if start is None else start

    def step(self, key: Array | None, state: Array, problem: Array) -> tuple[Array, Array]:
        return state - self.step_size * problem * state, problem * state

    def measure(self, state, info, problem, reference):
        found = {"size": jnp.linalg.norm(state) ** self.power, "seen": info}
        return found if reference is None else {**found, "apart": jnp.abs(state - reference)}

    def done(self, state, info, problem, reference):
        return jnp.linalg.norm(state) <= self.tolerance

    def diverged(self, state, info, problem):
        return ~(jnp.linalg.norm(state) <= self.limit)


@method
class Walk(Method):
    """A Gaussian random walk."""

    draws = True

    def init(self, key, problem, start):
        return jax.random.normal(key, problem.shape) if start is None else start

    def step(self, key, state, problem):
        return state + jax.random.normal(key, state.shape), None

    def measure(self, state, info, problem, reference):
        return {"x": state}


H = jnp.array([1.0, 0.5])


def test_states_rate_and_status_are_those_of_the_closed_form():
    found = solve(H, Descent(0.5), num_steps=60, record=range(61), reference=jnp.zeros(2))
    t = np.arange(61)[:, None]
    powers = (1 - 0.5 * np.asarray(H)) ** t
    np.testing.assert_allclose(found["apart"], powers, rtol=1e-13)
    np.testing.assert_allclose(found.value, powers[-1], rtol=1e-13)
    assert found.status == Status.BUDGET
    assert found.stats.num_steps == 60
    # The slower coordinate decides: 0.75 a step.
    assert found.rate("size").value == pytest.approx(np.log(0.75), rel=5e-3)


def test_what_a_step_saw_is_recorded_and_nothing_before_the_first():
    found = solve(H, Descent(0.5), num_steps=2, record=range(3))
    assert np.all(np.isnan(found["seen"][0]))
    np.testing.assert_array_equal(found["seen"][1], np.asarray(H))


def test_a_method_says_when_it_is_done_and_what_it_refuses():
    found = solve(H, Descent(0.5, tolerance=0.1), num_steps=60)
    # sqrt(0.5^2t + 0.75^2t) <= 0.1 first at t = 9: 0.75^8 = 0.1001, 0.75^9 = 0.075.
    assert (found.status, found.stats.num_steps) == (Status.CONVERGED, 9)
    found = solve(H, Descent(4.0, limit=100.0), num_steps=60)
    # |1 - 4|^t leaves 100 at t = 5, and t = 4 is kept: 81.
    assert (found.status, found.stats.diverged_at) == (Status.DIVERGED, 5)
    np.testing.assert_allclose(found.value, [81.0, 1.0])


def test_new_numbers_compile_nothing_and_a_new_choice_does():
    solve(H, Descent(0.5, tolerance=1e-9), num_steps=7)
    with compilations("run_chunk") as compiled:
        found = solve(2 * H, Descent(0.3, tolerance=1e-3), start=jnp.array([3.0, 4.0]), num_steps=7)
    assert compiled == []
    np.testing.assert_allclose(found.value, np.array([3 * 0.4**7, 4 * 0.7**7]), rtol=1e-13)
    with compilations("run_chunk") as compiled:
        solve(H, Descent(0.5, tolerance=1e-9, power=2), num_steps=7)
    assert len(compiled) == 1


@pytest.mark.parametrize("options", [{}, {"tolerance": 0.1}, {"limit": 100.0}])
@pytest.mark.parametrize("step_size", [0.5, 4.0])
def test_unrolled_and_solved_agree_at_every_step(step_size, options):
    by = Descent(step_size, **options)
    value, found = unroll(H, by, num_steps=12, reference=H)
    solved = solve(H, by, num_steps=12, record=range(13), reference=H)
    valid = solved.trace.valid
    for name, values in solved.trace.metrics.items():
        np.testing.assert_allclose(np.asarray(found[name])[valid], values[valid], rtol=1e-13)
    np.testing.assert_allclose(value, solved.value, rtol=1e-13)


def test_unrolling_goes_through_vmap_and_grad_over_the_numbers_of_a_method():
    sizes = jnp.array([0.1, 0.5])

    def end(size: Array) -> Array:
        return unroll(H, Descent(size), num_steps=5)[0][0]

    np.testing.assert_allclose(jax.vmap(end)(sizes), (1 - sizes) ** 5, rtol=1e-13)
    np.testing.assert_allclose(jax.grad(end)(0.5), -5 * 0.5**4, rtol=1e-13)


def test_draws_depend_on_the_key_and_step_alone():
    key = jax.random.key(3)
    found = solve(H, Walk(), key=key, num_steps=4, record=range(5))
    key_init, key_steps = jax.random.split(key)
    steps = [jax.random.normal(jax.random.fold_in(key_steps, t), (2,)) for t in range(4)]
    literal = np.cumsum([jax.random.normal(key_init, (2,)), *steps], axis=0)
    np.testing.assert_allclose(found["x"], literal, rtol=1e-12)
    np.testing.assert_allclose(unroll(H, Walk(), key=key, num_steps=4)[1]["x"], literal, rtol=1e-12)


def test_without_jit_it_is_the_same():
    by = Descent(0.5, tolerance=0.1)
    slow, quick = (solve(H, by, num_steps=12, jit=jit) for jit in (False, True))
    np.testing.assert_allclose(slow.value, quick.value, rtol=1e-13)
    assert slow.status == quick.status


def test_what_is_missing_is_said():
    with pytest.raises(InputError, match="Walk draws random numbers: give key="):
        solve(H, Walk(), num_steps=3)
    with pytest.raises(InputError, match="no scalar 'x' was measured; there are: none"):
        solve(H, Walk(), key=jax.random.key(0), num_steps=3).rate("x")
    found = solve(H, Descent(0.5), num_steps=2)
    with pytest.raises(KeyError, match="no 'apart' was measured; there are: seen, size; distances"):
        found["apart"]


def test_the_function_is_not_hidden_by_a_module():
    import fineq
    import fineq.nlqr

    assert fineq.solve is solve
    assert "solve" in dir(fineq)
    assert fineq.nlqr.__name__ == "fineq.nlqr"


@pytest.mark.parametrize("given", [Descent, None])
def test_what_is_no_method_is_refused(given: Any):
    with pytest.raises(InputError, match="method must be a Method"):
        solve(H, given, num_steps=1)


@pytest.mark.parametrize(
    "key", [0, jnp.zeros((2, 2), jnp.uint32), jax.random.split(jax.random.key(0), 3)]
)
def test_what_is_not_one_key_is_refused(key: Any):
    with pytest.raises(InputError, match="key must be one random key"):
        solve(H, Walk(), key=key, num_steps=1)


def test_a_solution_says_in_lines_what_it_holds():
    found = solve(jnp.array([2.0]), Descent(0.25), num_steps=4, record=range(5))
    assert repr(found) == "\n".join(
        (
            "<solution, BUDGET at step 4",
            f" value     {found.value.dtype}[1]",
            " measured  seen, size",
            " at        5 recorded iterations>",
        )
    )


def test_a_path_is_no_store():
    with pytest.raises(InputError, match=r"such as fineq.runs.checkpoint.Checkpoints\(folder\)"):
        solve(H, Descent(0.1), num_steps=1, store="kept")  # type: ignore[arg-type]


def test_a_key_of_the_older_kind_is_a_key():
    old, new = (make(0) for make in (jax.random.PRNGKey, jax.random.key))
    values = [solve(H, Walk(), key=key, num_steps=2).value for key in (old, new)]
    np.testing.assert_array_equal(*values)
