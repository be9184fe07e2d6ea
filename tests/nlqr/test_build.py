"""Problems built from what a user has: checked, with points and a horizon that fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.nlqr import (
    Custom,
    Gaussian,
    Points,
    Sine,
    Sphere,
    Zero,
    build_problem,
    build_system,
    cost,
    drawn_points,
    infinite_cost,
    linear_policy,
)

A, B, C = np.array([[0.9, 0.3], [0.0, 0.7]]), np.array([[0.0], [1.0]]), 0.2 * np.eye(2)


def plant(phi=None, scale=1.0, **changes):
    given = {"A": A, "B": B, "C": C, **changes}
    return build_system(**given, phi=Sine() if phi is None else phi, scale=scale)


def fit(problem):
    """Points and horizon of a problem that has been built, which has them."""
    assert problem.points is not None
    assert problem.horizon is not None
    return problem.points, problem.horizon


@pytest.mark.slow
def test_the_cost_of_the_linear_policy_is_that_of_the_infinite_horizon():
    problem = build_problem(plant())
    K = linear_policy(problem.system).K
    whole = infinite_cost(K, problem.system, problem.points, tolerance=1e-14).cost
    np.testing.assert_allclose(
        cost(K, problem.system, problem.points, problem.horizon), whole, rtol=1e-12
    )
    shorter = build_problem(plant(), tolerance=1e-3)
    assert fit(shorter)[1] < fit(problem)[1]
    assert build_problem(plant(), horizon=7).horizon == 7


def test_an_odd_kernel_halves_the_points_and_keeps_the_cost():
    half, whole = (
        build_problem(plant(), horizon=9),
        build_problem(plant(Custom(jnp.sin, 2)), horizon=9),
    )
    assert 2 * len(fit(half)[0].points) == len(fit(whole)[0].points)
    K = linear_policy(half.system).K
    costs = [cost(K, p.system, p.points, 9) for p in (half, whole)]
    np.testing.assert_allclose(costs[0], costs[1], rtol=1e-13)


@pytest.mark.slow
def test_the_law_is_uniform_on_the_sphere_unless_given():
    assert build_problem(plant()).law == Sphere(1.0, 2)
    law = Gaussian(jnp.eye(2))
    problem = build_problem(plant(Zero(2)), law, degree=4)
    assert problem.law is law
    np.testing.assert_allclose(fit(problem)[0].second_moment(), np.eye(2), atol=1e-13)
    own = Points(jnp.eye(2), jnp.array([0.5, 0.5]))
    assert fit(build_problem(plant(), law, points=own, horizon=3))[0].points is own.points
    np.testing.assert_array_equal(fit(build_problem(plant(), own))[0].points, own.points)


def test_costs_are_identities_unless_given():
    system = plant()
    np.testing.assert_array_equal(system.Q, np.eye(2))
    np.testing.assert_array_equal(system.R, np.eye(1))
    np.testing.assert_array_equal(plant(R=[[3.0]]).R, [[3.0]])


@pytest.mark.slow
def test_many_states_need_points():
    big = build_system(0.5 * np.eye(4), np.eye(4), np.eye(4), phi=Sine())
    law = Sphere(1.0, 4)
    with pytest.raises(InputError, match="n = 4 > 3: give points, for example"):
        build_problem(big, law)
    problem = build_problem(big, law, points=drawn_points(law, jax.random.key(0), 16))
    assert fit(problem)[0].points.shape == (16, 4)


def test_what_is_not_in_order_is_said():
    with pytest.raises(InputError, match="the law must have dimension 2"):
        build_problem(plant(), Sphere(1.0, 3))
    with pytest.raises(InputError, match="horizon must be at least 1, got 0"):
        build_problem(plant(), horizon=0)
    bad = Points(jnp.eye(2), jnp.array([0.5, 0.4]))
    with pytest.raises(InputError, match=r"sum to 1, got 0\.9"):
        build_problem(plant(), points=bad)
    # At rest 0.9 x is brought to 0, but nothing acts on x1 while sin feeds it: it grows.
    with pytest.raises(InputError, match="K_lin says no horizon, give one: no horizon is long"):
        build_problem(plant(scale=60.0, C=np.diag([0.2, 0.0])), max_horizon=512)
