"""Methods by `solve`: what they report, refuse, and reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import Status, finetune, solve
from fineq.errors import InputError
from fineq.finetune import (
    DDPO,
    DPOK,
    AdjointMatching,
    DRaFT,
    Pathwise,
    PolicyIteration,
    Reinforce,
    RewardWeighted,
)
from fineq.optimiser import Optimiser
from tests.finetune.common import Bump, earned, simulate, tuning

KEY = jax.random.key(9)
FAST = Optimiser(learning_rate=3e-2, average=0.0)
METHODS = {
    "policy iteration": PolicyIteration(rank=2),
    "inner, damped": PolicyIteration(rank=2, num_inner=3, damping=0.5, remat=True),
    "adjoint matching": AdjointMatching(rank=2),
    "pathwise": Pathwise(rank=2),
    "draft": DRaFT(rank=2, k=2),
    "ddpo": DDPO(rank=2),
    "reinforce": Reinforce(rank=2),
    "dpok": DPOK(rank=2),
    "reward weighted": RewardWeighted(rank=2),
}
each = pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, id=n, marks=() if n in ("policy iteration", "ddpo") else pytest.mark.slow)
        for n, m in METHODS.items()
    ],
)


@each
def test_a_step_reports_the_policy_that_it_began_with(method):
    problem = tuning(dtype=jnp.float32, num_classes=3)
    found = solve(problem, method, key=KEY, num_steps=2, record=[0, 1, 2])
    assert found.status == Status.BUDGET
    # Batches of two sizes round otherwise.
    assert found["last_divergence"][1] < 1e-10 < found["last_divergence"][2]
    reward, price = found["last_reward"], 0.7 * found["last_divergence"]
    np.testing.assert_allclose(found["last_objective"][1:], (reward - price)[1:], rtol=1e-4)
    assert np.all(found["norm"][1:] > 0)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.value)} == {jnp.dtype(jnp.float32)}
    # Adapters of zero in a step of Adam move by the learning rate.
    moved = max(np.abs(layer["B"]).max() for layer in found.value.values())
    assert 1e-4 < moved < 1e-1


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in METHODS if n not in ("draft", "reward weighted")])
def test_j_rises(name):
    method = METHODS[name]
    problem = tuning()._replace(beta=jnp.asarray(0.2))
    options = {"num_paths": 64, "optimiser": FAST, "rank": 2}
    method = type(method)(**options)
    adapters = solve(problem, method, key=KEY, num_steps=60).value

    def objective(chosen):
        paths = simulate(jax.random.key(1), problem, chosen, 2000)
        return np.asarray(earned(problem, chosen, paths).objective(problem.beta))

    gain = objective(finetune.adapted(problem.base, adapters)) - objective(problem.base)
    # The same draws for both; five standard errors above nothing.
    assert gain.mean() > 5 * gain.std() / np.sqrt(gain.size)


def test_a_run_that_diverges_is_marked():
    problem = tuning()._replace(reward=Bump(jnp.asarray(jnp.inf)))
    found = solve(problem, Pathwise(rank=2), key=KEY, num_steps=3)
    assert found.status == Status.DIVERGED
    assert found.stats.diverged_at == 1
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found.value))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PolicyIteration(num_paths=0), "num_paths must be at least 1, got 0"),
        (lambda: PolicyIteration(rank=0), "rank must be at least 1, got 0"),
        (lambda: PolicyIteration(num_inner=0), "num_inner must be at least 1, got 0"),
        (lambda: PolicyIteration(damping=0.0), r"damping must lie in \(0, 1\], got 0.0"),
        (lambda: DRaFT(k=0), "k must be at least 1, got 0"),
        (lambda: Reinforce(num_paths=1), "num_paths must be at least 2"),
        (lambda: Pathwise().init(KEY, "tuning", None), "solves a Tuning, .* got a str"),
        (lambda: solve(tuning(), Pathwise(rank=13), key=KEY, num_steps=1), "between 1 and 12"),
        (
            lambda: solve(tuning(), DRaFT(k=5, rank=2), key=KEY, num_steps=1),
            "k must be at most the 4 steps of the chain, got 5",
        ),
    ],
)
def test_bad_input_is_refused_in_a_sentence(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_network_evaluations_are_those_of_the_passes_made():
    problem = tuning()
    counted = {name: method.evaluations(problem) for name, method in METHODS.items()}
    assert counted == {
        "policy iteration": 7,
        "inner, damped": 14,
        "adjoint matching": 6,
        "pathwise": 5,
        "draft": 3,
        "ddpo": 14,
        "reinforce": 5,
        "dpok": 5,
        "reward weighted": 5,
    }


def test_adapters_given_are_where_a_run_starts():
    problem = tuning()
    start = finetune.make_adapters(jax.random.key(3), problem.base.variables, 3)
    state = Pathwise().init(None, problem, start)
    jax.tree.map(np.testing.assert_array_equal, Pathwise().value(state, problem), start)
