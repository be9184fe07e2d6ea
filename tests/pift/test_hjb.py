"""The Bellman equation in continuous time: orders of the scheme, Hopf-Cole, policy iteration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fineq
from fineq.ddpm.laws import mixture
from fineq.errors import InputError
from fineq.pift import hjb, rewards, tilting

LAW = mixture([0.4, 0.6], [[-1.5], [1.5]], [[[0.25]], [[0.4]]])
QUADRATIC = rewards.quadratic([[-1.0]], [0.5])
END, BETA, WIDTH = float(np.exp(-4.0)), 1.0, 8.0
WAVE = rewards.Wave(jnp.ones(1), jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.3))


def solve(num_times, num_points, reward=QUADRATIC, num_iterations=6):
    domain = hjb.make_domain(LAW, END, num_times, num_points, WIDTH)
    return domain, hjb.policy_iteration(equation(domain, reward), num_iterations)


def equation(domain, reward, beta=BETA):
    return hjb.bellman_equation(domain, reward, beta)


def common(domain, field, num_times=50, num_points=101):
    """A field `[N + 1, n]` on the coarse grid that all grids here contain, for |y| <= 3."""
    (N, n) = (field.shape[0] - 1, field.shape[1] - 1)
    coarse = np.asarray(field)[:: N // num_times, :: n // (num_points - 1)]
    y = np.asarray(domain.points)[:: n // (num_points - 1)]
    return coarse[:, np.abs(y) <= 3]


def closed_form(num_times=50, num_points=101):
    """V and u* on the coarse grid but at the data's own level, where they are r and s + r'/β."""
    bars = jnp.exp(-4.0 * (1 - jnp.arange(num_times) / num_times))
    y = jnp.linspace(-WIDTH, WIDTH, num_points)
    y = y[jnp.abs(y) <= 3]

    def at(bar, y):
        law, r = LAW, QUADRATIC
        v = tilting.value(law, r, BETA, bar, y[None])
        return v, tilting.control(law, r, BETA, bar, y[None])[0]

    return jax.jit(jax.vmap(jax.vmap(at, (None, 0)), (0, None)))(bars, y)


@pytest.mark.slow
def test_second_order_towards_the_closed_form():
    value, control = closed_form()
    errors = []
    for num in (50, 100, 200):
        domain, found = solve(num, 4 * num + 1)
        v, u = common(domain, found.values[-1]), common(domain, found.controls[-1])
        errors.append([np.abs(v[:-1] - value).max(), np.abs(u[:-1] - control).max()])
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    # Four for second order; the next order shows at spacing 0.08 against modes of width 0.5.
    np.testing.assert_allclose(ratios, 4, rtol=0.15)
    # On values of the order of 10: the limit is the closed form and nothing near it.
    assert np.all(np.array(errors[-1]) < 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["space", "time"])
def test_each_order_is_two_by_itself(which):
    grids = [(100, n) for n in (201, 401, 801)] if which == "space" else None
    grids = grids or [(N, 201) for N in (100, 200, 400)]
    v = [common(*_last(solve(*grid))) for grid in grids]
    ratio = np.abs(v[0] - v[1]).max() / np.abs(v[1] - v[2]).max()
    # Differences of successive grids fall fourfold, up to the next order.
    assert ratio == pytest.approx(4, rel=0.1)


def _last(solved):
    domain, found = solved
    return domain, found.values[-1]


@pytest.mark.slow
def test_reward_without_closed_form_against_hopf_cole_and_quadrature():
    domain, found = solve(200, 401, WAVE)
    v = common(*_last((domain, found)))
    linear = common(domain, hjb.hopf_cole(equation(domain, WAVE)))
    # V_0 by quadrature over Y_T given Y_0 = y.
    x = np.linspace(-9, 9, 3001)
    y = np.linspace(-WIDTH, WIDTH, 101)
    y = y[np.abs(y) <= 3]
    log_p = np.asarray(jax.vmap(lambda x: LAW.log_density(x[None]))(x))
    log_p = log_p[None] - 0.5 * (y[:, None] - np.sqrt(END) * x[None]) ** 2 / (1 - END)
    r = np.asarray(jax.vmap(lambda x: WAVE(x[None]))(x))
    truth = BETA * np.log(np.exp(log_p) @ np.exp(r / BETA) / np.exp(log_p).sum(1))
    # Second order: (h² + τ²) times a fourth derivative of order 1 to 10, h = 0.04 and τ = 0.02.
    np.testing.assert_allclose(v[0], truth, atol=2e-3)
    np.testing.assert_allclose(linear[0], truth, atol=2e-3)
    np.testing.assert_allclose(v, linear, atol=2e-2)


def test_policy_iteration_raises_the_value_and_squares_the_error():
    domain, found = solve(200, 401, WAVE, 7)
    v = np.asarray(found.values)
    inside = np.abs(np.asarray(domain.points)) <= 3
    # The value of an improved control is no smaller, up to the scheme's rounding.
    assert np.all(np.diff(v, axis=0)[:, :, inside] > -1e-10)
    errors = np.abs(v - v[-1])[:, :, inside].max((1, 2))
    # Newton: e' <= C e² with one C; from 1e-1 to below 1e-12 in at most 4 steps.
    assert errors[4] < 1e-12
    assert errors[2] < 10 * errors[1] ** 2


def test_evaluation_of_a_given_control():
    """Constants added to the reward shift the value; scaling reward and β together scales it."""
    domain, found = solve(100, 201)
    reward, control = hjb.on_points(domain, QUADRATIC), found.controls[-1]
    once = hjb.evaluate(equation(domain, reward), control)
    shifted = hjb.evaluate(equation(domain, reward + 3.0), control)
    scaled = hjb.evaluate(equation(domain, 2 * reward, 2 * BETA), control)
    # Rounding over 100 steps of a well-conditioned solve, values up to 40 at the ends.
    np.testing.assert_allclose(shifted, once + 3.0, atol=1e-10)
    np.testing.assert_allclose(scaled, 2 * once, atol=1e-10)
    assert np.abs(common(domain, once - found.values[-1])).max() < 1e-10


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((LAW, 1.0, 10, 11, 8.0), r"must lie in \(0, 1\), got 1"),
        ((LAW, 0.1, 0, 11, 8.0), r"at least 1 step and 3 points, got 0 and 11"),
        ((LAW, 0.1, 10, 11, 0.0), r"half_width must be above 0"),
        (
            (mixture([1.0], [[0.0, 0.0]], [np.eye(2)]), 0.1, 10, 11, 8.0),
            r"one dimension, but the law has 2",
        ),
    ],
)
def test_bad_input(options, sentence):
    with pytest.raises(InputError, match=sentence):
        hjb.make_domain(*options)


def test_the_smallest_grid_has_one_step_and_three_points():
    domain = hjb.make_domain(LAW, END, 1, 3, WIDTH)
    assert domain.times.shape == (2,)
    np.testing.assert_array_equal(domain.points, [-WIDTH, 0, WIDTH])


@pytest.mark.slow
def test_steps_of_the_method_are_the_iterates_and_their_errors():
    domain = hjb.make_domain(LAW, END, 40, 81, WIDTH)
    posed = equation(domain, WAVE)
    whole = hjb.policy_iteration(posed, 4)
    truth = hjb.hopf_cole(posed)
    by = hjb.HJBIteration(within=3.0)
    found = fineq.solve(posed, by, num_steps=4, record=range(5), reference=truth)
    inside = np.abs(np.asarray(domain.points)) <= 3
    for i in range(1, 5):
        gap = np.abs(np.asarray(truth - whole.values[i - 1]))[:, inside].max()
        change = np.abs(np.asarray(whole.controls[i] - whole.controls[i - 1]))[:, inside].max()
        assert found["gap"][i] == pytest.approx(gap, rel=1e-10)
        assert found["change"][i] == pytest.approx(change, rel=1e-6, abs=1e-12)
    np.testing.assert_allclose(found.value, whole.controls[-1], rtol=1e-12, atol=1e-12)
    # From where a run has come it goes on as if it had never stopped.
    middle = fineq.solve(posed, by, num_steps=2).value
    again = fineq.solve(posed, by, start=middle, num_steps=2).value
    np.testing.assert_allclose(again, found.value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda d: hjb.bellman_equation(d, np.ones(5), 1.0), r"reward must have shape \(11,\)"),
        (lambda d: hjb.bellman_equation(d, WAVE, 0.0), "beta must be above 0, got 0"),
        (lambda d: hjb.bellman_equation(d, WAVE, [1.0, 2.0]), "beta must have 0 axes"),
        (
            lambda d: hjb.evaluate(equation(d, WAVE), np.ones(11)),
            r"the control must have shape \(4, 11\), got \(11,\)",
        ),
    ],
)
def test_an_equation_that_does_not_fit_is_named(ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask(hjb.make_domain(LAW, END, 3, 11, WIDTH))
