"""Paths of a network's policy against pift's simulation and against loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import pift
from fineq.errors import InputError
from fineq.fast.draws import normal
from fineq.finetune import adapted, exact_problem, rollout
from fineq.finetune.rollout import Noise
from tests.finetune.common import earned, errors, follow, moved, policy, simulate, tuning

KEY = jax.random.key(2)


def test_what_paths_earn_is_what_pift_simulates_on_the_same_draws():
    problem = tuning()
    tuned, exact = policy(problem), exact_problem(problem)
    y0 = jax.random.normal(KEY, (7, 2))
    controlled = pift.ScoreMean(tuned, tuned.schedule)
    found = jax.jit(partial(pift.simulate_from, keep=True))(KEY, exact, controlled, y0)
    draws = jnp.stack([normal(jax.random.fold_in(KEY, t), (2, 7), y0.dtype).T for t in range(4)])
    paths = follow(problem, tuned, Noise(y0, draws, None))
    mine = earned(problem, tuned, paths)
    # The same sums in another order, over four steps.
    np.testing.assert_allclose(paths.states, found.paths, rtol=0, atol=1e-11)
    np.testing.assert_allclose(mine.divergence, found.divergence, rtol=1e-10)
    np.testing.assert_allclose(mine.reward, found.terminal, rtol=1e-10)
    np.testing.assert_allclose(mine.objective(problem.beta), found.objective, rtol=1e-9)


@pytest.mark.parametrize("rows", [3, 14, 1000])
def test_errors_are_those_of_one_step_at_a_time(monkeypatch, rows):
    monkeypatch.setattr(rollout, "ROWS", rows)
    problem = tuning(num_classes=3, T=6)
    tuned = policy(problem)
    paths = simulate(KEY, problem, tuned, 7)
    found = jax.jit(lambda p: rollout.errors(problem, tuned, p))(paths)
    mean = jax.jit(type(tuned).mean)
    sigmas, label = problem.base.schedule.sigmas, paths.label
    for t, e in enumerate(found):
        y = paths.states[t]
        apart = mean(tuned, t, y, label) - mean(problem.base, t, y, label)
        np.testing.assert_allclose(e, apart / sigmas[t], rtol=0, atol=1e-11)
        after = mean(tuned, t, y, label) + sigmas[t] * paths.draws[t]
        np.testing.assert_allclose(after, paths.states[t + 1], rtol=0, atol=1e-12)


def test_the_base_is_at_no_distance_and_paths_follow_their_classes():
    problem = tuning(num_classes=3)
    problem = problem._replace(labels=jnp.array([0, 2], jnp.int32))
    paths = simulate(KEY, problem, problem.base, 200)
    assert not np.any(errors(problem, problem.base, paths))
    counts = np.bincount(paths.label, minlength=3)
    # Binomial(200, 1/2) has standard deviation 7.1; allowed are four.
    assert counts[1] == 0
    assert abs(counts[0] - 100) < 29


def test_seeds_are_one_axis():
    problem = tuning()

    tuned = policy(problem)

    def one(key):
        return earned(problem, tuned, simulate(key, problem, tuned, 4)).divergence

    keys = jax.random.split(KEY, 3)
    by_one = jnp.stack([one(key) for key in keys])
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(keys), by_one, rtol=1e-11)


def test_rematerialisation_changes_no_number_and_float32_stays():
    problem = tuning(dtype=jnp.float32)

    def gained(adapters, remat):
        tuned = adapted(problem.base, adapters)
        return jnp.sum(simulate(KEY, problem, tuned, 4, remat=remat).states ** 2)

    gradient = jax.jit(jax.grad(gained), static_argnums=1)
    plain, again = (gradient(moved(problem), remat) for remat in (False, True))
    # Both are the same formulas; compilation may round them otherwise.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), plain, again)
    assert simulate(KEY, problem, problem.base, 2).states.dtype == jnp.float32


def test_no_path_is_refused():
    problem = tuning()
    with pytest.raises(InputError, match="number of paths must be at least 1, got 0"):
        simulate(KEY, problem, problem.base, 0)
