"""The limit of small steps: what is measured against Monte Carlo, and that theory holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.claims import Claim
from fineq.ddpm.chain import control_of
from fineq.errors import InputError
from fineq.pift import lq, rewards, tilting
from fineq.settings.fields import replace_at
from fineq.studies.pift import continuous_limit
from fineq.studies.pift.continuous_limit import line, mean_square, quadrature
from fineq.studies.pift.continuous_views import newton_orders
from fineq.studies.pift.instances import Given, make_instance
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small


@pytest.fixture(scope="module", name="study")
def _study():
    words = ("continuous.num_steps=[30, 60, 120]", "continuous.num_times=[50, 100]")
    config = small("continuous_limit", *words)
    return config, continuous_limit.run(config, Given(), Stages())


def test_mean_square_of_a_quadratic():
    q = rewards.Quadratic(
        jnp.array([[0.5, 0.2], [0.2, -1.0]]), jnp.array([0.3, 1.0]), jnp.asarray(0.4)
    )
    C = np.array([[1.0, 0.3], [0.3, 0.5]])
    mean = np.array([0.2, -0.6])
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)  # exact up to degree 9
    z = np.stack([x.ravel() for x in np.meshgrid(nodes, nodes)], -1)
    w = np.outer(weights, weights).ravel() / (2 * np.pi)
    values = np.asarray(jax.vmap(q)(jnp.asarray(mean[None] + z @ np.linalg.cholesky(C).T)))
    found = mean_square(q, jnp.asarray(mean), jnp.asarray(C))
    assert found == pytest.approx(w @ values**2, rel=1e-12)


@pytest.mark.parametrize("i", [0, 1])
def test_errors_are_averages_over_states(study, i):
    config, result = study
    kind = ("forward", "posterior")[i]
    at = replace_at(config, {"schedule.variance": kind, "schedule.num_steps": 30})
    instance = make_instance(at, Given())({"seed": config.first_seed})
    law, schedule, problem = instance.law, instance.schedule, instance.problem
    best = jax.jit(lq.optimum)(lq.linear_quadratic(problem))
    limit = jax.vmap(lambda y, b: tilting.control(law, problem.reward, 1.0, b, y), (0, None))

    @jax.jit
    def square(t):
        bar = schedule.alpha_bars[t]
        y = law.noised(bar).sample(jax.random.key(t), 2000)
        means = y @ best.policy.F[t].T + best.policy.f[t][None]
        u = control_of(means, schedule.alphas[t], y)
        return jnp.mean(jnp.sum((u - limit(y, bar)) ** 2, -1))

    squares = [float(square(t)) for t in range(30)]
    clock = -np.log(np.asarray(schedule.alphas))
    truth = np.sqrt(clock @ np.array(squares) / clock.sum())
    # A mean square over 2000 draws of an affine error is known to about 3%, its root to half.
    assert result.arrays["control"].values[i, 0, 0] == pytest.approx(truth, rel=0.06)


def test_no_claim_fails(study):
    _, result = study
    about = [claim for claim in result.claims if isinstance(claim, Claim)]
    assert len(about) == 10
    for claim in about:
        # With three seeds and 120 steps intervals may reach over an edge.
        assert claim.verdict != "fails", claim
    assert np.all(result.arrays["gap"].values > 0)
    assert result.status == "complete"


def test_quadrature_is_the_closed_form_where_there_is_one():
    law, _ = line()
    reward = rewards.quadratic([[-1.0]], [0.5])
    y = jnp.linspace(-2.0, 2.0, 5)
    value, control = jax.jit(quadrature)(law, reward, jnp.asarray(0.7), jnp.asarray(0.3), y)
    for found, exact in ((value, tilting.value), (control, tilting.control)):
        at = jax.jit(jax.vmap(lambda y, exact=exact: exact(law, reward, 0.7, 0.3, y[None])))
        truth = at(y)
        np.testing.assert_allclose(found, truth.reshape(5), rtol=1e-9)


def test_newton_order_of_squared_errors():
    squared = np.array([1e-1, 1e-2, 1e-4, 1e-8, 1e-16])
    halved = 0.5 ** np.arange(5)
    found = newton_orders(np.stack([squared, halved, np.full(5, 1e-12)]))
    np.testing.assert_allclose(found[:2], [2, 1], rtol=1e-10)
    assert np.isnan(found[2])


def test_bad_input():
    with pytest.raises(InputError, match=r"needs data\.name=gaussian"):
        continuous_limit.run(small("continuous_limit", "reward.name=wave"), Given(), Stages())
    with pytest.raises(InputError, match="must be even"):
        small("continuous_limit", "continuous.num_times=[11, 20]")
