"""Batched adjoints against autodiff of the return, and against those of one point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import pift
from fineq.errors import InputError
from fineq.finetune import adjoint, exact_problem
from fineq.finetune.rollout import Noise, draw
from fineq.pift.parametric import paths as single
from tests.finetune.common import adjoints, errors, policy, simulate, tuning

KEY = jax.random.key(3)
trace = jax.jit(adjoint.trace, static_argnames=("kind", "remat"))


def return_to_go(problem, tuned, t, y, paths):
    """Reward less price of what follows Y_t = y, step by step, with the noise held fixed."""
    sigmas, label = problem.base.schedule.sigmas, paths.label
    price = 0.0
    for s in range(t, problem.num_steps):
        m, m0 = tuned.mean(s, y, label), problem.base.mean(s, y, label)
        price = price + jnp.sum((m - m0) ** 2) / (2 * sigmas[s] ** 2)
        y = m + sigmas[s] * paths.draws[s]
    return jnp.sum(problem.reward(y, label)) - problem.beta * price


def test_the_full_adjoint_is_the_derivative_of_the_return_to_go():
    problem = tuning(num_classes=3)
    tuned = policy(problem)
    paths = simulate(KEY, problem, tuned, 4)
    found = adjoints(problem, tuned, paths)

    @jax.jit
    def one_by_one(states):
        of = jax.grad(return_to_go, argnums=3)
        return jnp.stack([of(problem, tuned, t, states[t], paths) for t in range(1, 5)])

    # Two orders of one derivative.
    np.testing.assert_allclose(found, one_by_one(paths.states), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "target"), [("full", "raw"), ("quiet", "quiet"), ("lean", "lean")]
)
def test_adjoints_are_those_of_one_point(kind, target):
    problem = tuning()
    tuned, exact = policy(problem), exact_problem(problem)
    paths = simulate(KEY, problem, tuned, 4)
    costate = pift.costate_of(exact, pift.ScoreMean(tuned, tuned.schedule))
    sigmas = problem.sigmas[:, None, None]
    seen = single.Paths(
        paths.states,
        sigmas * paths.draws,
        problem.beta / sigmas * errors(problem, tuned, paths),
    )
    wanted = jax.jit(single.adjoints, static_argnums=3)(exact, costate, seen, target)
    np.testing.assert_allclose(adjoints(problem, tuned, paths, kind), wanted, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", ["full", "quiet", "lean"])
def test_a_trace_holds_the_simulation(kind):
    problem = tuning()
    tuned = policy(problem)
    noise = draw(KEY, problem, 4)
    traced = trace(problem, tuned, noise, kind, remat=True)
    paths = simulate(KEY, problem, tuned, 4)
    np.testing.assert_allclose(traced.paths.states, paths.states, rtol=0, atol=1e-12)
    np.testing.assert_allclose(traced.errors, errors(problem, tuned, paths), rtol=0, atol=1e-10)
    base = jax.jit(jax.vmap(problem.base.mean))(jnp.arange(4), paths.states[:-1])
    np.testing.assert_allclose(traced.base, base, rtol=0, atol=1e-12)
    same = adjoints(problem, tuned, paths, kind)
    np.testing.assert_allclose(traced.adjoints, same, rtol=1e-9, atol=1e-11)


def test_all_kinds_agree_at_the_pretrained_model_but_for_noise_of_mean_zero():
    problem = tuning(dtype=jnp.float32)
    paths = simulate(KEY, problem, problem.base, 3)
    full, lean = (adjoints(problem, problem.base, paths, kind) for kind in ("full", "lean"))
    assert full.dtype == jnp.float32
    np.testing.assert_allclose(full, lean, rtol=1e-4, atol=1e-5)


def test_the_quiet_adjoint_has_the_mean_of_the_full_one():
    problem = tuning(d=1)
    tuned = policy(problem)
    num = 20_000
    noise = draw(KEY, problem, num)
    # One start for all: a_1 is then a draw of the gradient of V_1 along one law.
    noise = Noise(jnp.full((num, 1), 0.3), noise.draws, None)
    full, quiet = (trace(problem, tuned, noise, kind).adjoints for kind in ("full", "quiet"))
    apart = np.asarray(full - quiet)[:, :, 0]
    assert np.all(np.std(apart, axis=1)[:-1] > 0)
    z = apart.mean(axis=1)[:-1] / (apart.std(axis=1)[:-1] / np.sqrt(num))
    # Three normal numbers: one beyond 4 in 5000 runs.
    assert np.all(np.abs(z) < 4)


def test_an_unknown_kind_is_refused():
    problem = tuning()
    with pytest.raises(InputError, match="kind must be one of full, quiet, lean, got half"):
        adjoint.trace(problem, problem.base, None, "half")
