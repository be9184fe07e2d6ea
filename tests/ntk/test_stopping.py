"""Stopping rules against their definitions evaluated one time after the other."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq.errors import InputError
from fineq.ntk import lanczos, spectral, stopping
from fineq.ntk.tangent import gram

N, D = 60, 3
ETA = 0.3
SIGMA = 0.4


@pytest.fixture(scope="module")
def problem():
    keys = jax.random.split(jax.random.key(1), 2)
    z = jnp.concatenate([jax.random.normal(keys[0], (N, D - 1)), jnp.ones((N, 1))], axis=1)
    clean = jnp.stack([jnp.sin(z[:, 0]), z[:, 1]], axis=1)
    return z, clean, clean + SIGMA * jax.random.normal(keys[1], (N, 2))


@pytest.fixture(scope="module")
def spectrum(problem):
    return spectral.spectrum_at(problem[0])


def rule(values, eta, time, noise, radius):
    """Whether R(1/√(ητ)) ≤ B/(2e σ η τ), word by word."""
    epsilon = 1 / math.sqrt(eta * time)
    local = math.sqrt(sum(min(float(v), epsilon**2) for v in values) / len(values))
    return local <= radius / (2 * math.e * noise * eta * time)


@pytest.mark.parametrize(("noise", "radius"), [(0.05, 1.0), (0.4, 1.0), (0.05, 3.0)])
def test_rule_is_the_last_step_that_satisfies_it(spectrum, noise, radius):
    times = jnp.arange(1, 400)
    left = stopping.complexity(spectrum.values, ETA, times)
    stop = stopping.local_rademacher(left, times, noise, radius)
    good = [t for t in range(1, 400) if rule(spectrum.values, ETA, t, noise, radius)]
    assert stop.time == max(good, default=1)
    assert stop.inside == (0 < len(good) < 399)
    if good:
        assert stop.value <= 1


def test_rule_at_the_ends_of_time(spectrum):
    left = stopping.complexity(spectrum.values, ETA, jnp.array([0.0, 1e3, jnp.inf]))
    assert left[0] == 0
    assert np.isinf(left[2])
    stop = stopping.local_rademacher(left[1:], jnp.array([1e3, jnp.inf]), 10.0)
    assert stop.place == 0
    assert not stop.inside
    assert not stopping.local_rademacher(left[:2], jnp.array([0.0, 1e3]), 1e-9).inside


def test_bracket_from_the_largest_eigenvalues(spectrum):
    values, times = spectrum.values, jnp.geomspace(1, 1e6, 80)
    exact = stopping.complexity(values, ETA, times)
    for kept in (4, 15, 40):
        low, high = stopping.complexity_bracket(values[:kept], jnp.sum(values), ETA, times, N)
        # The sums of the two sides differ by rounding where they agree.
        assert np.all(low <= exact * (1 + 1e-12))
        assert np.all(exact <= high * (1 + 1e-12))
        early = ETA * times * values[kept - 1] <= 1
        assert np.any(early)
        np.testing.assert_allclose(low[early], high[early], rtol=1e-12)
        assert np.all(high < 3 * low)


def test_bracket_of_ritz_values(problem, spectrum):
    times = jnp.geomspace(1, 1e6, 80)
    exact = stopping.complexity(spectrum.values, ETA, times)
    for products in (2, 5, 12):
        space = lanczos.krylov(gram(problem[0]), problem[2], products)
        bracket = stopping.complexity_bracket(space.spectrum.values, space.trace, ETA, times, N)
        assert np.all(exact <= bracket.high * (1 + 1e-12))
    np.testing.assert_array_less(exact, 1.5 * bracket.high)
    np.testing.assert_array_less(bracket.high, 1.5 * exact)


def test_cross_validation_with_explicit_smoothers(problem, spectrum):
    _, _, noisy = problem
    times = jnp.geomspace(1, 1e5, 30).round()
    path = spectral.descend(spectrum, noisy, ETA, times)
    freedom = spectral.degrees_of_freedom(spectrum.values, ETA, times)
    stop = stopping.cross_validation(path.loss, freedom, N, times)
    scores = []
    A = np.asarray(gram(problem[0])) / N
    for t in times:
        smoother = np.eye(N) - np.linalg.matrix_power(np.eye(N) - ETA * A, int(t))
        rest = noisy - smoother @ noisy
        dof = np.trace(smoother)
        score = np.sum(rest**2) / N / (1 - dof / N) ** 2
        scores.append(score if dof <= N / 2 else np.inf)
    assert stop.place == np.argmin(scores)
    # (1 - ηλ)^τ through 1e5 multiplications keeps about ten digits.
    np.testing.assert_allclose(stop.value, np.min(scores), rtol=1e-8)


def test_cross_validation_stays_below_its_cap():
    # Labels nearly interpolated: the score at the last time is the least, and means nothing.
    loss = jnp.array([1.0, 0.3, 1e-9])
    used = jnp.array([0.1, 0.4, 0.9])
    freedom = spectral.Freedom(N * used, N * (1 - used))
    times = jnp.array([1.0, 10.0, 100.0])
    capped = stopping.cross_validation(loss, freedom, N, times)
    assert capped.time == 10
    np.testing.assert_allclose(capped.value, 2 * 0.3 / 0.6**2)
    assert not capped.inside
    assert stopping.cross_validation(loss, freedom, N, times, share=1.0).time == 100


def test_noise_level_of_pure_noise_is_found(spectrum):
    draws = SIGMA * jax.random.normal(jax.random.key(3), (N, 400))
    times = jnp.geomspace(1, 1e5, 40)
    path = spectral.descend(spectrum, draws, ETA, times)
    freedom = spectral.degrees_of_freedom(spectrum.values, ETA, times)
    found = stopping.noise_level(path.loss, freedom, N)
    # 400 draws with some 25 degrees of freedom each: σ² has relative deviation √(2/10^4).
    np.testing.assert_allclose(found.level, SIGMA, rtol=0.03)
    assert N / 2 <= found.dof < 0.7 * N
    few = stopping.noise_level(path.loss[:1], spectral.Freedom(*(x[:1] for x in freedom)), N)
    assert few.dof == freedom.fitted[0]


@pytest.mark.slow
def test_hold_out_is_the_least_error_on_the_rest(problem):
    z, _, noisy = problem
    train, held = stopping.split(jax.random.key(4), N, 0.25)
    assert sorted([*map(int, train), *map(int, held)]) == list(range(N))
    assert held.shape == (15,)
    times = jnp.geomspace(1, 1e4, 20)
    path = spectral.descend(spectral.spectrum_at(z[train]), noisy[train], ETA, times)
    ahead = spectral.predict(z[held], z[train], path.coefficients)
    stop = stopping.hold_out(ahead, noisy[held], times)
    errors = [np.mean((np.asarray(noisy[held]) - np.asarray(f)) ** 2) for f in ahead]
    assert stop.place == np.argmin(errors)
    np.testing.assert_allclose(stop.value, min(errors))


def test_the_oracle_takes_the_least_risk_and_the_local_rule_its_last_time():
    times = jnp.array([1.0, 10.0, 100.0, 1000.0, 1e4])
    risk = jnp.array([4.0, 2.0, 1.0, jnp.nan, jnp.inf])
    best = stopping.oracle(risk, times)
    assert (best.time, best.value) == (100, 1)
    assert not best.inside
    assert stopping.oracle(risk.at[4].set(3.0), times).inside
    early = stopping.local_rademacher(jnp.array([0.1, 0.15, 9, 9, 9]), times, 1.0)
    assert early.time == 10
    assert not stopping.least(risk, times, jnp.array([False, True, True, False, False])).inside


def test_radius_is_that_of_one_output(problem, spectrum):
    _, clean, _ = problem
    path = spectral.descend(spectrum, clean, ETA, jnp.inf)
    solved = np.linalg.solve(gram(problem[0]), clean)
    expected = np.sqrt(np.sum(clean * solved) / 2)
    np.testing.assert_allclose(stopping.radius(path.norm[0]), expected, rtol=1e-8)


def test_rules_over_seeds_equal_one_by_one(problem, spectrum):
    _, clean, _ = problem
    times = jnp.geomspace(1, 1e5, 30)
    freedom = spectral.degrees_of_freedom(spectrum.values, ETA, times)

    def rules(key):
        noisy = clean + SIGMA * jax.random.normal(key, clean.shape)
        path = spectral.descend(spectrum, noisy, ETA, times)
        risk = jnp.mean(jnp.square(path.fitted - clean[None]), axis=(1, 2))
        noise = stopping.noise_level(path.loss, freedom, N).level
        stops = (
            stopping.cross_validation(path.loss, freedom, N, times),
            stopping.local_rademacher(
                stopping.complexity(spectrum.values, ETA, times), times, noise
            ),
        )
        return (*stops, stopping.oracle(risk, times))

    keys = jax.random.split(jax.random.key(6), 4)
    together = jax.jit(jax.vmap(rules))(keys)
    one_by_one = jax.tree.map(lambda *x: jnp.stack(x), *map(jax.jit(rules), keys))
    assert_trees_all_close(together, one_by_one, rtol=1e-9)


def test_bad_input_has_a_sentence():
    with pytest.raises(InputError, match="one value for each training time"):
        stopping.oracle(jnp.ones(3), jnp.ones(4))
    with pytest.raises(InputError, match="held-out share of 5 points"):
        stopping.split(jax.random.key(0), 5, 0.0)
    with pytest.raises(InputError, match="held-out labels"):
        stopping.hold_out(jnp.ones((2, 3, 1)), jnp.ones((3,)), jnp.ones(2))


def test_cross_validation_picks_up_to_its_share_of_the_points():
    """Two of four degrees of freedom are half of them, and allowed; three are not."""
    freedom = spectral.Freedom(jnp.array([1.0, 2.0, 3.0]), jnp.array([3.0, 2.0, 1.0]))
    found = stopping.cross_validation(jnp.array([4.0, 1.0, 0.0]), freedom, 4, [1, 2, 3], 0.5)
    # 2 loss / (1 - 2/4)².
    assert (found.time, found.value) == (2, 8)
