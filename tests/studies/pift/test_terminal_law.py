"""Orders of the terminal law: what is measured is what the kernels give, and theory holds."""

import numpy as np
import pytest

from fineq.ddpm.laws import standard_normal
from fineq.errors import InputError
from fineq.pift import terminal
from fineq.settings.fields import replace_at
from fineq.studies.pift import terminal_law
from fineq.studies.pift.instances import Given, make_instance
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small

GAUSSIAN = ("terminal.num_steps=[40, 80, 160]", "terminal.ends=[1e-3, 1e-2, 1e-1]")
LINE = ("seeds=1", "terminal.num_steps=[8, 16]", "terminal.num_points=161")


@pytest.fixture(scope="module", name="gaussian")
def _gaussian():
    config = small("terminal_law", *GAUSSIAN)
    return config, terminal_law.run(config, Given(), Stages())


@pytest.mark.slow
def test_divergences_are_those_of_the_instances(gaussian):
    config, result = gaussian
    instance = make_instance(config, Given())({"seed": config.first_seed + 1})
    for i, kind in enumerate(("forward", "posterior")):
        at = replace_at(config, {"schedule.variance": kind, "schedule.num_steps": 80})
        instance = make_instance(at, Given())({"seed": config.first_seed + 1})
        truth = terminal.of_chain(instance.problem, instance.law)
        for name in ("own", "data", "pretrained"):
            found = result.arrays[name].values[i, 1, 1]
            # Divergences of 1e-5 are differences of terms of order 1.
            np.testing.assert_allclose(found, getattr(truth, name), rtol=1e-8)
    law, reward = instance.law, instance.problem.reward
    start = standard_normal(law.d)
    truth = terminal.of_process(law, reward, instance.problem.betas[0], 1e-2, start)
    assert result.arrays["kept_own"].values[1, 1] == pytest.approx(float(truth.own), rel=1e-8)


@pytest.mark.slow
def test_no_claim_fails_on_easy_instances(gaussian):
    _, result = gaussian
    assert len(result.claims) == 6
    for claim in result.claims:
        # Three seeds leave an interval wider than their scatter, never one beside the theory.
        assert claim.verdict in ("holds", "inconclusive"), claim
    assert result.status == "complete"


@pytest.mark.slow
def test_densities_on_a_line():
    config = small("terminal_law_mixture", *LINE)
    result = terminal_law.run(config, Given(), Stages())
    y = result.coords["y"].values
    for name in ("pretrained", "optimal", "target"):
        mass = np.sum(result.arrays[f"density_{name}"].values, axis=1) * (y[1] - y[0])
        # What is not drawn is below a thousandth of the largest density.
        np.testing.assert_allclose(mass, 1, atol=5e-3)
    own = result.arrays["own"].values
    assert np.all(np.diff(own, axis=-1) < 0)
    # Fine-tuning moves mass to the mode that pays, here on the right, as much as the target has.
    right = {
        name: np.sum(result.arrays[f"density_{name}"].values[:, y > 0], axis=1) * (y[1] - y[0])
        for name in ("pretrained", "optimal", "target")
    }
    np.testing.assert_allclose(right["pretrained"], 0.5, atol=0.01)
    assert np.all(right["optimal"] > 0.7)
    # Steps of an eighth leave a KL of a few hundredths: by Pinsker, masses within a tenth.
    np.testing.assert_allclose(right["optimal"], right["target"], atol=0.1)


@pytest.mark.slow
def test_the_grid_of_a_line_covers_the_laws_of_every_swept_value():
    """Means with a spread of 4 lie off a grid for those of the configured 1."""
    words = ("data.means=[]", "data.covariances=[]", "data.d=1", "sweep.data.spread=[1.0, 4.0]")
    more = ("seeds=2", "terminal.num_steps=[8, 16]", "terminal.num_points=601")
    result = terminal_law.run(small("terminal_law_mixture", *more, *words), Given(), Stages())
    assert np.all(np.isfinite(result.arrays["own"].values))


def test_bad_input():
    with pytest.raises(InputError, match="or data on a line"):
        terminal_law.run(small("terminal_law", "reward.name=wave"), Given(), Stages())
    with pytest.raises(InputError, match="one beta, not betas"):
        terminal_law.run(small("terminal_law", f"betas={[1] * 20}"), Given(), Stages())
    words = ("schedule.name=constant_rate", "sweep.schedule.end=[0.1,0.2]")
    with pytest.raises(InputError, match="is no axis of terminal_law"):
        terminal_law.run(small("terminal_law", *words), Given(), Stages())
    with pytest.raises(InputError, match="must hold rising values"):
        small("terminal_law", "terminal.num_steps=[20, 10]")
