"""The study of parametrised controls: errors and certificates against truth."""

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.certificates import Gap, affine_bounds
from fineq.studies.pift import parametric
from fineq.studies.pift.instances import Given, make_instance
from fineq.studies.pift.parametric import certified
from fineq.sweep.stages import Stages
from tests.studies.pift.small import small

pytestmark = pytest.mark.slow  # every test compiles whole programs


@pytest.fixture(scope="module", name="study")
def _study():
    words = ("seeds=2", "parametric.classes=[affine]", "parametric.certificate_paths=4096")
    config = small("parametric", *words, "parametric.num_paths=256")
    return config, parametric.run(config, Given(), Stages())


def test_the_class_that_holds_the_optimum_reaches_it(study):
    _, result = study
    errors = result.arrays["error"].values
    # The pre-trained policy has error 1; the size is that of other draws in no respect.
    np.testing.assert_allclose(errors[:, :, 0], 1, rtol=1e-12)
    assert np.all(errors[:, :, -1] < 0.02)
    assert np.all(result.arrays["best"].values < 1e-12)
    assert np.all(result.arrays["network_error"].values[0, :, -1] < 0.5)


def test_the_certificate_is_the_exact_bound_less_the_objective(study):
    """Controls at most 2% off the optimum lose 1% of its price: J is that of the optimum."""
    config, result = study
    instance = make_instance(config, Given())
    exact = []
    for seed in range(2):
        problem = instance({"seed": seed}).problem
        arrays = lq.linear_quadratic(problem)
        J = lq.expected(arrays, lq.optimum(arrays).value)
        exact.append(float(affine_bounds(problem).marginal - J))
    low, high = (result.arrays[f"gap_{end}"].values[0] for end in ("low", "high"))
    # The interval covers 95%; half its width more covers all but one seed in a hundred.
    half = (high - low) / 2
    assert np.all((low - half < exact) & (exact < high + half))
    assert np.all(half < 0.2)


def test_a_control_that_earned_more_than_the_bound_would_fail():
    gap, many = np.array([-0.5, -0.3]), np.full(2, 1e3)
    for shift, verdict in ((0.0, "fails"), (0.4, "inconclusive"), (1.0, "holds")):
        at = gap + shift
        claim = certified("affine", Gap(at, at - 0.1, at + 0.1, many), "data")
        assert claim.verdict == verdict
    few = certified("affine", Gap(gap, gap - 0.1, gap + 0.1, np.full(2, 2.0)), "data")
    assert few.verdict is None  # two paths judge nothing
    # The mean of two independent intervals is shorter by √2.
    assert claim.measured.value == pytest.approx(0.6)
    assert claim.measured.high == pytest.approx(0.6 + 0.1 / np.sqrt(2))


def test_refused_configurations():
    with pytest.raises(InputError, match=r"sweep\.beta is no axis of parametric"):
        small("parametric", "sweep.beta=[1,2]")
    with pytest.raises(InputError, match="needs an exact reference"):
        parametric.run(small("parametric", "reward.name=wave"), Given(), Stages())
    with pytest.raises(InputError, match=r"parametric\.classes must be"):
        small("parametric", "parametric.classes=[nosuch]")
