"""Certified bounds on powers against brute force and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fineq.nlqr.features import Sine
from fineq.nlqr.problem import control, next_state
from fineq.nlqr.random_systems import random_system
from fineq.nlqr.stability import (
    closed_loop,
    linearisation,
    loop_norms,
    policy_bound,
    power_bound,
    power_norms,
)

BOUND = jax.jit(power_bound)


def brute_force(M, rho1, num):
    """The largest |M^t|/rho1^t over t = 0..num."""
    power, largest = np.eye(len(M)), 1.0
    for _ in range(num):
        power = power @ M / rho1
        largest = max(largest, np.linalg.norm(power, 2))
    return largest


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("radius", [0.3, 0.9, 0.99])
def test_bound_is_the_supremum_over_all_powers(seed, radius):
    M = np.random.default_rng(seed).normal(size=(3, 3))
    # An off-diagonal entry of 20 makes transients that c1 has to cover.
    M[0, 2] += 20
    M *= radius / np.abs(np.linalg.eigvals(M)).max()
    bound = BOUND(jnp.asarray(M))
    assert bound.certified
    assert float(bound.radius) == pytest.approx(radius, rel=1e-10)
    assert float(bound.rho1) == pytest.approx((1 + radius) / 2, rel=1e-10)
    # At 5000 powers (0.99/0.995)^5000 < 2e-11: nothing beyond can exceed the maximum.
    truth = brute_force(M, float(bound.rho1), 5000)
    assert float(bound.c1) == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize(
    ("M", "rho1", "c1"),
    [
        # A multiple of a rotation: |M^t| = 0.7^t.
        (0.7 * np.array([[0.6, -0.8], [0.8, 0.6]]), 0.85, 1.0),
        (np.zeros((2, 2)), 0.5, 1.0),
        # Nilpotent: |M| = 4, M² = 0, so c1 = 4/rho1 with rho1 = 1/2.
        (np.array([[0.0, 4.0], [0.0, 0.0]]), 0.5, 8.0),
    ],
)
def test_bound_in_closed_form(M, rho1, c1):
    bound = power_bound(jnp.asarray(M))
    assert bound.certified
    assert float(bound.rho1) == pytest.approx(rho1, rel=1e-13)
    assert float(bound.c1) == pytest.approx(c1, rel=1e-13)


def test_what_cannot_be_certified_is_not():
    assert not power_bound(jnp.diag(jnp.array([1.0, 0.2]))).certified
    assert not power_bound(jnp.diag(jnp.array([1.5, 0.2]))).certified
    assert not power_bound(jnp.diag(jnp.array([0.5, 0.2])), 0.5).certified
    assert not power_bound(jnp.full((2, 2), jnp.nan)).certified
    slow = jnp.array([[0.99, 100.0], [0.0, 0.99]])
    cut = power_bound(slow, max_steps=10)
    assert (int(cut.steps), bool(cut.certified)) == (10, False)
    assert power_bound(slow).certified


def test_a_chosen_rate():
    bound = power_bound(jnp.diag(jnp.array([0.5, 0.2])), 0.6)
    assert (float(bound.rho1), float(bound.c1), bool(bound.certified)) == (0.6, 1.0, True)
    growing = power_bound(jnp.diag(jnp.array([1.5, 0.2])), 2.0)
    assert (float(growing.c1), bool(growing.certified)) == (1.0, True)


def test_single_precision():
    M = jnp.array([[0.5, 3.0], [0.0, 0.4]])
    double, single = power_bound(M), power_bound(M.astype(jnp.float32))
    assert single.c1.dtype == jnp.float32
    assert bool(single.certified)
    # A dozen products, each good to a few rounding units of 1.2e-7.
    np.testing.assert_allclose(single.c1, double.c1, rtol=1e-5)


def test_batches_equal_one_by_one():
    M = np.random.default_rng(1).normal(size=(5, 3, 3)) / 2
    together = jax.vmap(BOUND)(jnp.asarray(M))
    for i in range(5):
        one = BOUND(jnp.asarray(M[i]))
        for got, want in zip(together, one, strict=True):
            np.testing.assert_allclose(got[i], want, rtol=1e-12)


def test_loops_of_a_policy():
    system = random_system(jax.random.key(1), Sine(), n=3, p=2, normalisation="own", scale=0.7)
    K = 0.3 * jax.random.normal(jax.random.key(2), (2, 6))
    A, B, C = (np.asarray(M) for M in (system.A, system.B, system.C))
    loop = A - B @ np.asarray(K)[:, :3]
    np.testing.assert_allclose(closed_loop(system, K), loop, rtol=1e-14, atol=1e-14)
    # sin has slope 1 at 0, so ∇φ(0) = scale I.
    slope = loop + 0.7 * (C - B @ np.asarray(K)[:, 3:])
    np.testing.assert_allclose(linearisation(system, K), slope, rtol=1e-14, atol=1e-14)

    def step(x):
        return next_state(system, x, control(system, K, x))

    np.testing.assert_allclose(linearisation(system, K), jax.jacfwd(step)(jnp.zeros(3)), atol=1e-14)
    assert float(policy_bound(system, K).c1) == float(power_bound(closed_loop(system, K)).c1)


def similar(rng, blocks, units):
    """A matrix with these Jordan blocks in integer coordinates, exactly, and units 2^k."""
    J = scipy.linalg.block_diag(*blocks)
    lower = np.eye(len(J)) + np.tril(rng.integers(-2, 3, J.shape), -1)
    inverse = np.round(np.linalg.inv(lower))
    return np.exp2(units)[:, None] * (lower @ J @ inverse) / np.exp2(units)


JORDAN = np.eye(3, k=1)
CASES = {
    "normal": ([np.diag([0.75, -0.5, 0.25, 0.125])], 0.75),
    "rotating": ([np.array([[0.75, 1.0], [-1.0, 0.75]]), np.diag([0.5, 0.25])], 1.25),
    "defective": ([0.875 * np.eye(3) + JORDAN, np.eye(1) / 2], 0.875),
    "on the circle": ([np.eye(3) + JORDAN, np.eye(1) / 2], 1.0),
    "growing": ([1.125 * np.eye(3) + JORDAN, np.eye(1) / 2], 1.125),
    "nilpotent": ([JORDAN, np.zeros((1, 1))], 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_powers_prove_nothing_that_is_false(name):
    """Entries are dyadic numbers of few bits, so the radius is known."""
    blocks, radius = CASES[name]
    rng = np.random.default_rng(3)
    for units in (np.zeros(4), rng.integers(-20, 21, 4)):
        M = similar(rng, blocks, units)
        proved = jax.jit(power_norms)(jnp.asarray(M), jnp.zeros((4, 4)))
        assert proved.radius <= radius
        # Up to the tenth: 1.25^1024 is still a number.
        powers = radius**2.0 ** np.arange(11)
        assert np.all(np.asarray(proved.above)[:11] >= powers)
        # Where the error grows by a small factor each time, dozens of squarings are good.
        assert proved.radius >= radius * ((1 - 1e-5) if name in ("normal", "rotating") else 0.75)
        if name == "normal":
            assert np.any(np.asarray(proved.above) < 1)


def test_norms_of_powers_are_close_where_nothing_is_lost():
    M = 0.9 * np.random.default_rng(0).normal(size=(3, 3)) / 2
    above = np.asarray(power_norms(jnp.asarray(M), jnp.zeros((3, 3))).above)
    for k in range(6):
        norm = np.linalg.norm(np.linalg.matrix_power(M, 2**k))
        assert norm <= above[k] <= norm * (1 + 1e-11)


def test_an_error_of_the_matrix_is_allowed_for():
    M = jnp.diag(jnp.array([1.01, 0.5]))
    assert power_norms(M, jnp.zeros((2, 2))).radius > 1
    assert power_norms(M, 0.02 * jnp.eye(2)).radius <= 1
    assert np.all(np.asarray(power_norms(M - 0.02 * jnp.eye(2), 0.02 * jnp.eye(2)).above) >= 1)


def test_norms_of_a_loop_are_those_of_its_linearisation():
    system = random_system(jax.random.key(1), Sine(), n=3, p=2, normalisation="own", scale=0.7)
    K = 0.3 * jax.random.normal(jax.random.key(2), (2, 6))
    M = np.asarray(linearisation(system, K))
    radius = np.abs(np.linalg.eigvals(M)).max()
    found = loop_norms(system, K)
    assert radius * (1 - 1e-5) <= found.radius <= radius
    np.testing.assert_allclose(found.above[0], np.linalg.norm(M), rtol=1e-13)
