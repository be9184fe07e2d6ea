"""The fast step of many rollouts equals the dynamics of one state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.nlqr.features import Custom, Sine, Zero
from fineq.nlqr.lanes import advance, at_states, closed_loop, closed_loop_entries
from fineq.nlqr.problem import System, control, next_state, psi, stage_cost

# Products that are written out and that are not, for matrices shared by all lanes and one for each.
CASES = [(2, 2, Sine()), (2, 1, Zero(0)), (3, 2, Custom(lambda x: x[:1] * x[1:2], 1))]
CASES += [(9, 3, Sine()), (17, 16, Sine())]
LANES = 5


def draw(case):
    n, p, phi = case
    rng, d = np.random.default_rng(n), phi.num_features(n)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape) / n)

    system = System(
        *(normal(n, n), normal(n, p), normal(n, d), normal(n, n), normal(p, p)),
        jnp.asarray(0.7),
        phi,
    )
    return system, normal(p, n + d, LANES), normal(n, LANES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"n={case[0]}-{type(case[2]).__name__}")
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("merged", [False, True])
def test_a_step_of_all_lanes_is_that_of_each_state(case, own, merged):
    system, policies, x = draw(case)
    K = policies if own else policies[..., 0]
    spent = jnp.arange(1.0, 1 + LANES)
    loop = closed_loop(K, system) if merged else None
    moved, seen = jax.jit(advance)(K, loop, system, at_states(system, x, spent))
    for j in range(LANES):
        one = policies[..., j if own else 0]
        u = control(system, one, x[:, j])
        following = next_state(system, x[:, j], u)
        close = {"rtol": 1e-12, "atol": 1e-13}
        np.testing.assert_allclose(seen[:, j], psi(system, x[:, j]), **close)
        np.testing.assert_allclose(moved.x[:, j], following, **close)
        np.testing.assert_allclose(
            moved.total[j], spent[j] + stage_cost(system, x[:, j], u), **close
        )
        np.testing.assert_allclose(
            moved.features[:, j], psi(system, following)[system.n :], **close
        )


def test_the_closed_loop_in_entries_is_the_closed_loop():
    system, policies, _ = draw(CASES[0])
    for K in (policies, policies[..., 0]):
        rows = closed_loop_entries(K, system)
        np.testing.assert_allclose(jnp.array(rows), closed_loop(K, system), rtol=1e-13)
