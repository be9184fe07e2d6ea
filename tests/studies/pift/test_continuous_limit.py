"""The limit of small steps: what is measured against Monte Carlo, and that theory holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.claims import Claim
from fineq.ddpm.chain import control_of
from fineq.errors import InputError
from fineq.pift import lq, tilting
from fineq.settings.fields import replace_at
from fineq.studies.pift import continuous_limit
from fineq.studies.pift.instances import Given, make_instance
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small


@pytest.fixture(scope="module", name="study")
def _study():
    words = ("continuous.num_steps=[30, 60, 120]", "continuous.num_times=[50, 100]")
    config = small("continuous_limit", *words)
    return config, continuous_limit.run(config, Given(), Stages())


@pytest.mark.slow
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


@pytest.mark.slow
def test_no_claim_fails(study):
    _, result = study
    about = [claim for claim in result.claims if isinstance(claim, Claim)]
    assert len(about) == 10
    for claim in about:
        # With three seeds and 120 steps intervals may reach over an edge.
        assert claim.verdict != "fails", claim
    assert np.all(result.arrays["gap"].values > 0)
    assert result.status == "complete"


@pytest.mark.slow
def test_grids_are_those_of_the_swept_price():
    words = ("seeds=1", "continuous.num_steps=[10, 20]", "continuous.num_times=[20, 40]")
    config = small("continuous_limit", *words, "sweep.beta=[1.0, 3.0]")
    swept = continuous_limit.run(config, Given(), Stages())
    alone = continuous_limit.run(small("continuous_limit", *words, "beta=3.0"), Given(), Stages())
    for name in ("grid_value", "grid_iterates"):
        found = swept.arrays[name].values
        np.testing.assert_allclose(found[:, 1], alone.arrays[name].values, rtol=1e-6, atol=1e-12)
        assert not np.allclose(found[:, 0], found[:, 1], rtol=1e-2)


def test_bad_input():
    with pytest.raises(InputError, match=r"needs data\.name=gaussian"):
        continuous_limit.run(small("continuous_limit", "reward.name=wave"), Given(), Stages())
    with pytest.raises(InputError, match="must be even"):
        small("continuous_limit", "continuous.num_times=[11, 20]")
