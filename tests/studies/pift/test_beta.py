"""What β buys: monotone on every instance, and a picture that is a law."""

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.shell.compose import compose
from fineq.studies.pift import beta
from fineq.studies.pift.area import AREA
from fineq.studies.pift.instances import Given
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small


def test_everything_falls_with_the_price():
    result = beta.run(small("beta", "++sweep.beta=[1.0, 10.0, 100.0, 1000.0]"), Given(), Stages())
    for name in ("ratio", "divergence", "gain", "to_tilt"):
        assert np.all(np.diff(result.arrays[name].values, axis=0) < 0), name


GIVEN = (
    *(
        "profile=smoke",
        "schedule.num_steps=6",
        "data.means=[[0.0]]",
        "data.covariances=[[[1.0]]]",
    ),
    *("reward.matrix=[[-1.0]]", "reward.center=[1.0]"),
)


@pytest.mark.parametrize("betas", [[0.1, 0.2, 0.5, 1.0], [1e2, 2e2, 5e2, 1e3]])
def test_exact_numbers_of_a_problem_that_is_given_have_no_interval(betas):
    """1/β (1 + O(1/β)): the exponents are -1, -2, -1 to 1% above 100, and not below 1."""
    config = compose(AREA, ["experiment=pift/beta", *GIVEN, f"++sweep.beta={betas}"])
    result = beta.run(config, Given(), Stages())
    assert all("one instance, nothing random" in claim.instance for claim in result.claims)
    assert all(claim.measured.low == claim.measured.high for claim in result.claims)
    judged = [claim for claim in result.claims if "exponent" in claim.statement]
    assert len(judged) == 3
    if betas[0] == 1e2:
        assert [claim.verdict for claim in judged] == ["holds"] * 3
        return
    # On its way to the limit: another β decides, no seed does.
    for claim in judged:
        assert claim.verdict in ("holds", "inconclusive")
        assert claim.verdict == "holds" or claim.reason.endswith("larger β decide")
    assert "inconclusive" in [claim.verdict for claim in judged]


@pytest.mark.slow
def test_the_picture_holds_laws_and_pushes_towards_the_reward():
    words = ("++sweep.beta=[1.0, 2.0, 3.0, 4.0]", "picture.betas=[1.0]", "picture.num_points=48")
    result = beta.run(small("beta", *words), Given(), Stages())
    x, y = (result.coords[name].values for name in "xy")
    cell = (x[1] - x[0]) * (y[1] - y[0])
    density, reward = (result.arrays[name].values for name in ("density", "reward_field"))
    mass = density.sum(axis=(1, 2)) * cell
    np.testing.assert_allclose(mass, 1, atol=1e-5)  # the law's bounds leave out 1e-6
    earned = (density * reward[None]).sum(axis=(1, 2)) * cell
    assert earned[1] > earned[0] + 0.1
    # Simulated paths end where the densities say: 300 of them, four standard errors.
    samples = np.stack([result.arrays[f"sample_{axis}"].values for axis in "xy"], -1)
    mesh = np.meshgrid(x, y, indexing="ij")
    centre = np.stack([(density * axis[None]).sum(axis=(1, 2)) * cell for axis in mesh])
    spread = samples.std(axis=1, ddof=1) / np.sqrt(samples.shape[1])
    assert np.all(np.abs(samples.mean(axis=1) - centre.T) < 4 * spread)
    simulated = [c for c in result.claims if "simulated" in c.statement]
    assert [c.verdict for c in simulated] == ["holds"]


@pytest.mark.parametrize("words", ["++sweep.beta=[1.0, 2.0]", "++sweep.reward.scale=[1.0, 2.0]"])
def test_a_sweep_that_shows_no_trend_is_refused(words):
    with pytest.raises(InputError, match=r"needs sweep\.beta="):
        beta.run(small("beta", words), Given(), Stages())
