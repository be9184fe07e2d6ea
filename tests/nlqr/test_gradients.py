"""Estimators of the gradient: same signature, right mean, known noise.

Means are tested over N independent estimates: entry by entry the mean must lie within 5 standard
errors of the truth, the standard errors taken from the estimates themselves. A normal variable
leaves that range once in 1.7 million times; with some hundred entries tested, a correct estimator
fails for fewer than one seed in ten thousand (and the seeds are fixed). Each such test also asserts
that its standard errors are small enough to see a wrong factor.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from fineq.errors import InputError
from fineq.nlqr.costs import cost
from fineq.nlqr.features import Sine, Zero
from fineq.nlqr.gradients import (
    Baseline,
    Coordinates,
    Exact,
    GradientInfo,
    Natural,
    OnePoint,
    TwoPoint,
    natural,
    sampling,
)
from fineq.nlqr.laws import Points, Sphere
from fineq.nlqr.problem import Problem, System, psi

STANDARD_ERRORS = 5


def make_system(seed, n, p, phi, scale=1.0):
    rng = np.random.default_rng(seed)
    d = phi.num_features(n)
    A, B, C = (jnp.asarray(0.5 * rng.normal(size=(n, m))) for m in (n, p, d))
    half = rng.normal(size=(p, p))
    return System(
        A, B, C, jnp.eye(n), jnp.asarray(half @ half.T + np.eye(p)), jnp.asarray(scale), phi
    )


def make_points(seed, n, num=4):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, num)
    return Points(jnp.asarray(rng.normal(size=(num, n))), jnp.asarray(weights / weights.sum()))


@functools.cache
def plane():
    """A problem with two gains, K [1, 2], whose smoothed cost is an integral over a disc."""
    system = make_system(1, 1, 1, Sine(), scale=1.5)
    K = jnp.array([[0.3, -0.2]])
    return Problem(system, make_points(2, 1)), K


def plane_parts():
    problem, K = plane()
    assert isinstance(problem.law, Points)
    return problem.system, problem.law, K


def smoothed(function, K, radius, degree=16):
    """Mean of `function(K + V)` for V uniform on the disc: polar quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(degree)
    radii = radius * np.sqrt((nodes + 1) / 2)  # uniform in the squared radius
    angles = 2 * np.pi * np.arange(2 * degree) / (2 * degree)
    V = radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None]
    values = jax.vmap(lambda v: function(K + v[None]))(jnp.asarray(V.reshape(-1, 2)))
    return np.tensordot(np.repeat(weights / 2, 2 * degree) / (2 * degree), values, axes=1)


@functools.cache
def sampler(name, num_rollouts, horizon):
    estimator = ZEROTH_ORDER[name](num_rollouts, horizon)
    return jax.jit(jax.vmap(estimator, in_axes=(0, None, None, None)))


@functools.cache
def plane_estimates(name, radius=0.9, num=4000):
    """Estimates from 100 rollouts of 4 steps each in the plane of gains."""
    problem, K = plane()
    keys = jax.random.split(jax.random.key(0), num)
    return sampler(name, 100, 4)(keys, K, problem, radius)


def assert_mean(samples, truth, resolution):
    """The mean of `samples [N, ...]` is `truth`, seen with a relative error of `resolution`."""
    samples, truth = np.asarray(samples), np.asarray(truth)
    errors = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert np.linalg.norm(errors) < resolution * np.linalg.norm(truth)
    assert np.all(np.abs(samples.mean(axis=0) - truth) < STANDARD_ERRORS * errors)


ZEROTH_ORDER = {
    "one-point": OnePoint,
    "two-point": TwoPoint,
    "baseline": Baseline,
    "independent baseline": functools.partial(Baseline, same_state=False),
}


@pytest.mark.parametrize("name", ZEROTH_ORDER)
def test_mean_is_the_gradient_where_smoothing_does_nothing(name):
    # One step: C(K) = E x'Qx + ψ'K'RKψ is quadratic in K, so C_r has the gradient of C, 2RK Eψψ'.
    system, law = make_system(3, 2, 2, Sine()), make_points(4, 2)
    K = jnp.asarray(np.random.default_rng(5).normal(size=system.policy_shape))
    regressors = jax.vmap(lambda x: psi(system, x))(law.points)
    truth = 2 * system.R @ K @ (regressors.T @ (law.weights[:, None] * regressors))
    keys = jax.random.split(jax.random.key(0), 2000)
    found = sampler(name, 100, 1)(keys, K, Problem(system, law), 1.3)
    assert_mean(found.gradient, truth, resolution=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ZEROTH_ORDER)
def test_mean_is_the_gradient_of_the_smoothed_cost(name):
    system, law, K = plane_parts()
    radius = 0.9
    gradient = jax.jit(jax.grad(lambda K: cost(K, system, law, 4)))
    truth = smoothed(gradient, K, radius)
    finer = smoothed(gradient, K, radius, degree=24)
    np.testing.assert_allclose(truth, finer, rtol=1e-9)
    found = plane_estimates(name, radius)
    assert_mean(found.gradient, truth, resolution=0.03)
    # The plain gradient is far outside the same bounds, so the test tells the two apart.
    with pytest.raises(AssertionError):
        assert_mean(found.gradient, gradient(K), resolution=1.0)


@pytest.mark.parametrize("name", ["one-point", "two-point"])
def test_reported_cost_has_the_mean_over_the_sphere(name):
    system, law, K = plane_parts()
    angles = 2 * np.pi * np.arange(64) / 64
    circle = jnp.asarray(0.9 * np.stack([np.cos(angles), np.sin(angles)], axis=-1))
    truth = jnp.mean(jax.jit(jax.vmap(lambda v: cost(K + v[None], system, law, 4)))(circle))
    found = plane_estimates(name)
    assert_mean(found.cost, truth, resolution=0.02)


@pytest.mark.parametrize("name", ZEROTH_ORDER)
def test_reported_noise_is_the_spread_of_the_estimates(name):
    found = plane_estimates(name)
    spread = np.sum(np.var(found.gradient, axis=0, ddof=1))
    # A variance from 4000 draws is known to √(2/4000) = 2% (times 1.5 for tails); 5 of those.
    np.testing.assert_allclose(np.mean(found.noise**2), spread, rtol=0.17)


def test_noise_against_the_radius():
    noise = {
        (name, r): float(np.sqrt(np.mean(plane_estimates(name, r).noise ** 2)))
        for name in ZEROTH_ORDER
        for r in (1e-2, 1e-4)
    }
    # One rollout's cost over r: a hundred times the noise. What pairs share cancels: none of it.
    for name in ("one-point", "independent baseline"):
        np.testing.assert_allclose(noise[name, 1e-4], 100 * noise[name, 1e-2], rtol=0.05)
    for name in ("two-point", "baseline"):
        np.testing.assert_allclose(noise[name, 1e-4], noise[name, 1e-2], rtol=0.05)


def test_coordinates_are_exact_on_a_quadratic():
    system, law = make_system(6, 2, 2, Sine()), make_points(7, 2)
    K = jnp.asarray(np.random.default_rng(8).normal(size=system.policy_shape))
    found = jax.jit(Coordinates(1))(None, K, Problem(system, law), 0.5)
    exact = jax.jit(Exact(1))(None, K, Problem(system, law), 0.5)
    np.testing.assert_allclose(found.gradient, exact.gradient, rtol=1e-12)


def test_coordinates_converge_at_second_order():
    problem, K = plane()
    differences = jax.jit(Coordinates(4))
    exact = jax.jit(Exact(4))(None, K, problem, 1.0).gradient
    errors = [
        np.linalg.norm(differences(None, K, problem, r).gradient - exact) for r in (0.04, 0.02)
    ]
    # The next term is r² smaller: a ratio of 4 to about 1e-3.
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=1e-2)


ALL = {
    **{name: make(6, 3) for name, make in ZEROTH_ORDER.items()},
    "coordinates": Coordinates(3),
    "exact": Exact(3),
    "natural": Natural(Exact(3), 3),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)])
def test_every_estimator_has_the_same_face(name, dtype):
    system = make_system(9, 2, 1, Sine())
    problem = Problem(system, Sphere(jnp.asarray(1.0), 2))
    K = jnp.full(system.policy_shape, 0.1)
    K, problem = jax.tree.map(lambda x: x.astype(dtype), (K, problem))
    radius = jnp.asarray(0.5, dtype)
    estimator = jax.jit(ALL[name])
    found = estimator(jax.random.key(0), K, problem, radius)
    assert isinstance(found, GradientInfo)
    assert found.gradient.shape == K.shape
    assert {x.dtype for x in found} == {jnp.dtype(dtype)}
    assert all(x.shape == () for x in found[1:])
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in found)
    again = estimator(jax.random.key(0), K, problem, radius)
    np.testing.assert_array_equal(again.gradient, found.gradient)
    other = estimator(jax.random.key(1), K, problem, radius)
    assert bool(jnp.all(other.gradient == found.gradient)) == (name not in ZEROTH_ORDER)


def test_exact_is_the_gradient_of_the_cost():
    system, law, K = plane_parts()
    found = jax.jit(Exact(40))(None, K, Problem(system, law), 1.0)
    value, gradient = jax.jit(jax.value_and_grad(lambda K: cost(K, system, law, 40)))(K)
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-13)
    np.testing.assert_allclose(found.cost, value, rtol=1e-13)
    assert found.noise == 0


@pytest.mark.parametrize("num_features", [0, 2])
def test_natural_gradient_of_the_regulator(num_features):
    system, law = make_system(10, 2, 2, Zero(num_features)), make_points(11, 2)
    K = 0.1 * jnp.ones(system.policy_shape)
    K1 = np.asarray(K[:, :2])
    A, B, R = (np.asarray(M) for M in (system.A, system.B, system.R))
    P = solve_discrete_lyapunov((A - B @ K1).T, np.eye(2) + K1.T @ R @ K1)
    radius = np.max(np.abs(np.linalg.eigvals(A - B @ K1)))
    horizon = int(np.ceil(np.log(1e-16) / np.log(radius)))
    found = jax.jit(Natural(Exact(horizon), horizon))(None, K, Problem(system, law), 1.0)
    want = 2 * ((R + B.T @ P @ B) @ K1 - B.T @ P @ A)
    # Features that are always 0 have neither gradient nor moment: 0, not NaN.
    want = np.concatenate([want, np.zeros((2, num_features))], axis=1)
    np.testing.assert_allclose(found.gradient, want, rtol=1e-9, atol=1e-12)


def test_natural_solves_with_the_moment():
    system, law, K = plane_parts()
    direction = jax.jit(natural, static_argnums=4)(jnp.ones_like(K), K, system, law, 5)
    regressors = []
    for w, x in zip(law.weights, law.points, strict=True):
        for _ in range(5):
            z = psi(system, x)
            regressors.append(jnp.sqrt(w) * z)
            x = (system.A - system.B @ K[:, :1]) @ x + (system.C - system.B @ K[:, 1:]) @ z[1:]
    moment = np.stack(regressors).T @ np.stack(regressors)
    np.testing.assert_allclose(direction @ moment, np.ones_like(K), rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 3), (1, 5)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_directions_are_uniform_on_the_sphere(shape, dtype):
    num, D = 40_000, shape[0] * shape[1]
    draws = sampling.sphere_directions(jax.random.key(3), num, shape, dtype)
    assert draws.dtype == dtype
    flat = np.asarray(draws).reshape(D, -1)
    np.testing.assert_allclose(np.sum(flat**2, axis=0), 1, rtol=4 * np.finfo(dtype).eps)
    assert np.all(np.abs(flat.mean(axis=1)) < STANDARD_ERRORS / np.sqrt(D * num))
    # Var(v_i v_j) <= E v_i^4 = 3/(D (D + 2)) on the unit sphere of R^D.
    fourth = 3 / (D * (D + 2))
    bound = STANDARD_ERRORS * np.sqrt(fourth / num)
    assert np.all(np.abs(flat @ flat.T / num - np.eye(D) / D) < bound)
    # Gaussian points have this fourth moment, cubes and the like do not; Var v^4 <= E v^8 <= 1.
    assert np.all(np.abs(np.mean(flat**4, axis=1) - fourth) < STANDARD_ERRORS / np.sqrt(num))


@pytest.mark.slow
def test_the_horizon_is_the_problems_unless_the_gradient_has_its_own():
    problem, K = plane()
    system, law = problem.system, problem.law
    key = jax.random.key(0)
    for of in (Exact, Coordinates, functools.partial(TwoPoint, 4), functools.partial(OnePoint, 4)):
        own = jax.jit(of(3))(key, K, Problem(system, law, horizon=9), 0.5)
        shared = jax.jit(of())(key, K, Problem(system, law, horizon=3), 0.5)
        np.testing.assert_array_equal(own.gradient, shared.gradient)
        assert of(3) == of(3)
        assert hash(of(3)) == hash(of(3))
    with pytest.raises(InputError, match="give the problem or the gradient a horizon"):
        Exact()(None, K, problem, 0.5)


def test_one_rollout_has_unknown_noise():
    problem, K = plane()
    found = jax.jit(OnePoint(1, 2))(jax.random.key(0), K, problem, 0.5)
    assert np.isfinite(found.gradient).all()
    assert np.isnan(found.noise)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OnePoint(0, 1), "num_rollouts must be at least 1, got 0"),
        (lambda: TwoPoint(7, 1), "num_rollouts must be a positive multiple of 2, got 7"),
        (lambda: Baseline(0, 1), "num_rollouts must be a positive multiple of 2, got 0"),
        (lambda: Exact(0), "horizon must be at least 1, got 0"),
        (lambda: Coordinates(0), "horizon must be at least 1, got 0"),
    ],
)
def test_bad_counts_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
