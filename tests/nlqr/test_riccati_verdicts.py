"""What the Riccati solver may not call solved, and must: circles, units, free controls.

Plants with a mode on the unit circle that Q does not see have no stabilising solution: that is
exact before the rotation that hides it.
"""

import numpy as np
import pytest

from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.riccati import dare
from tests.nlqr.riccati import (
    KINDS,
    assert_solved,
    norm,
    random_system,
    solve,
    stack,
    truth,
)


def in_units(system, states, inputs):
    """The plant of states `x / states` and inputs `u / inputs`, exactly, for powers of two."""
    A, B, Q, R = system
    moved = A * states / states[:, None], B * inputs / states[:, None]
    return *moved, Q * np.outer(states, states), R * np.outer(inputs, inputs)


@pytest.mark.parametrize(
    ("dtype", "range_"), [(np.float64, 40), pytest.param(np.float32, 16, marks=pytest.mark.slow)]
)
def test_units_change_nothing(dtype, range_):
    """States and inputs in units up to 2^±40 of others (float32: 2^±16): the same P and K, scaled
    back. Only steps that the first guess decides (when to stop) may differ, by rounding."""
    rng = np.random.default_rng(21)
    systems = [random_system(rng, 3, 2, kind) for kind in KINDS]
    systems += [hidden(rng, "unseen", 3, 2), hidden(rng, "unmoved", 3, 2)]
    units = [[np.exp2(rng.integers(-range_, range_ + 1, size)) for size in (3, 2)] for _ in systems]
    moved = [in_units(system, *unit) for system, unit in zip(systems, units, strict=True)]
    out = solve([[x.astype(dtype) for x in system] for system in (*systems, *moved)])
    num = len(systems)
    expected = [EquationStatus.SOLVED] * len(KINDS)
    expected += [EquationStatus.NO_STABILISING_SOLUTION, EquationStatus.NOT_STABILISABLE]
    np.testing.assert_array_equal(out.status, 2 * expected)
    for k, system in enumerate(systems[: len(KINDS)]):
        states, inputs = units[k]
        allowed = truth(*system, eps=np.finfo(dtype).eps)
        back = out.P[num + k].astype(float) / np.outer(states, states)
        assert norm(back - out.P[k]) <= 2 * allowed.error
        back = out.K[num + k].astype(float) * inputs[:, None] / states
        assert norm(back - out.K[k]) <= 2 * allowed.error_K


def hidden(rng, kind, n, p):
    """A rotated plant with a mode on the circle that Q does not see, or beyond it that B does not
    move."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mode = [np.array([[1.0]]), np.array([[-1.0]]), turn][rng.integers(3)]
    k = len(mode)
    A, B = rng.normal(size=(n, n)), rng.normal(size=(n, p))
    A[:k, :k], A[k:, :k] = mode, 0
    root = rng.normal(size=(n, n))
    T = np.linalg.qr(rng.normal(size=(n, n)))[0]
    if kind == "unmoved":
        A[:k], B[:k] = 0, 0
        A[:k, :k] = 1.25 * mode
    else:
        root[:, :k] = 0
    return T @ A @ T.T, T @ B, T @ root.T @ root @ T.T, np.eye(p)


def zero_on_the_circle(rng):
    """Free control of an output whose zeros lie on the circle: the limit loop's poles are they."""
    angle = rng.uniform(0, np.pi)
    A, T = np.eye(3, k=-1), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    A[0] = -np.poly(rng.uniform(-1.3, 1.3, 3))[1:]
    c = np.real(np.poly(np.exp([1j * angle, -1j * angle])))
    return T @ A @ T.T, T[:, :1], T @ np.outer(c, c) @ T.T, np.zeros((1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loop_that_rounding_keeps_off_the_circle_is_no_solution(dtype):
    """The eigenvalues met on the circle are double, so rounding moves them by its root: the loops
    found are 1e-9 to 1e-7 inside (float64), and no stabilising solution exists."""
    rng = np.random.default_rng(22)
    plants = [hidden(rng, "unseen", 4, 2) for _ in range(200)]
    for batch in (plants, [zero_on_the_circle(rng) for _ in range(100)]):
        out = dare(*(part.astype(dtype) for part in stack(batch)))
        np.testing.assert_array_equal(out.status, EquationStatus.NO_STABILISING_SOLUTION)


@pytest.mark.parametrize("weight", [1e-2, 1e-4])
def test_a_loop_near_the_circle_that_is_resolved_is_a_solution(weight):
    """The same plants, the mode now seen: the loop is about √weight inside the circle."""
    rng = np.random.default_rng(23)
    plants = [hidden(rng, "unseen", 4, 2) for _ in range(30)]
    systems = [(A, B, Q + weight * np.eye(4), R) for A, B, Q, R in plants]
    assert_solved(solve(systems), systems)


def delays(num):
    """x' = (x2, ..., xn, u) at the cost x1²: every control costs itself, num steps later."""
    return np.eye(num, k=1), np.eye(num)[:, -1:], np.diag(np.eye(num)[0]), np.zeros((1, 1))


def test_R_and_BQB_may_vanish_where_R_and_BPB_do_not():
    out = solve([delays(3)])
    assert out.status[0] == EquationStatus.SOLVED
    # What is in the chain is paid once, and no control changes it: P = I, K = 0.
    np.testing.assert_allclose(out.P[0], np.eye(3), atol=1e-14)
    np.testing.assert_allclose(out.K[0], np.zeros((1, 3)), atol=1e-14)


def test_equal_inputs_without_a_price_are_not_positive():
    rng = np.random.default_rng(25)
    A, B, Q, R = random_system(rng, 3, 2, "plain")
    twice = np.repeat(B[:, :1], 2, axis=1)
    assert solve([(A, twice, Q, 0 * R)]).status[0] == EquationStatus.NOT_POSITIVE


@pytest.fixture(scope="module")
def far_from_the_circle():
    """Radii of 0.4 to 0.8, but |P| of up to 1e9 and powers that grow first: ill conditioned."""
    found = {}
    for n, p in ((6, 1), (8, 1), (12, 2)):
        rng = np.random.default_rng(3)
        draw = [(rng.normal(size=(n, n)), rng.normal(size=(n, p))) for _ in range(60)]
        found[n] = [(A, B, np.eye(n), np.eye(p)) for A, B in draw]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 12])
def test_few_inputs_of_many_states_have_a_solution(far_from_the_circle, n):
    systems = far_from_the_circle[n]
    out = dare(*stack(systems))
    assert_solved(out, systems)


@pytest.mark.slow
def test_what_float32_resolves_of_them_is_right(far_from_the_circle):
    systems = far_from_the_circle[6]
    out = dare(*(part.astype(np.float32) for part in stack(systems)))
    solved = np.asarray(out.status) == EquationStatus.SOLVED
    assert solved.mean() > 0.25
    for k in np.flatnonzero(solved):
        rounded = [np.asarray(x, np.float32).astype(float) for x in systems[k]]
        expected = truth(*rounded, eps=2.0**-23)
        assert norm(out.P[k] - expected.P) <= expected.error


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "p"), [(6, 1), (8, 1), (12, 2)])
def test_transients_do_not_hide_the_circle(dtype, n, p):
    """Loops as ill conditioned, with a mode on the circle: `hidden` loses none of it."""
    rng = np.random.default_rng(5)
    plants = [hidden(rng, "unseen", n, p) for _ in range(60)]
    out = dare(*(part.astype(dtype) for part in stack(plants)))
    refused = (EquationStatus.NO_STABILISING_SOLUTION, EquationStatus.NOT_STABILISABLE)
    assert np.isin(out.status, refused).all()


@pytest.mark.parametrize(
    ("plant", "P"),
    [
        ((1e-200, 1e-200, 1e-200, 1e-200), 1e-200),
        ((1e-200, 1e-200, 1.0, 1.0), 1.0),
        ((0.5, 1e-200, 1.0, 1.0), 4 / 3),
        ((0.5, 1e-200, 1e-100, 1.0), 4e-100 / 3),
    ],
)
def test_inputs_that_reach_next_to_nothing_lose_no_cost(plant, P):
    # p = q + a²p: what the input changes is below rounding.
    out = dare(*(np.full((1, 1), x) for x in plant))
    assert out.status == EquationStatus.SOLVED
    np.testing.assert_allclose(out.P[0, 0], P, rtol=1e-15)
