"""The standard problems as a study: errors are those of the controls, no field is ignored."""

import jax
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.pift import lq
from fineq.shell.compose import compose
from fineq.studies.pift import benchmark_problems
from fineq.studies.pift.area import AREA
from fineq.studies.pift.instances import Given
from fineq.studies.pift.standard_cases import WELL, make_case, separate_ratio
from fineq.sweep.stages import Stages

pytestmark = pytest.mark.slow  # every test compiles whole programs


def config(*words):
    return compose(AREA, ["experiment=pift/benchmark_problems", "profile=smoke", *words])


@pytest.fixture(scope="module", name="result")
def _result():
    return benchmark_problems.run(config(), Given(), Stages())


def test_errors_begin_at_the_size_of_the_optimum_and_fall(result):
    arrays = {name: array.values for name, array in result.arrays.items()}
    for name in ("to_exact", "network_to_exact"):
        # Sizes are means over 1,000 paths, errors over the first 256 of them.
        np.testing.assert_allclose(arrays[name][0, :, 0], arrays["size"][0], rtol=0.2)
    # The class of affine controls holds the optimum, where targets have noise of the order of the
    # step, 2%, alone: its square is what is left, far below what a network reaches.
    assert np.all(arrays["to_exact"][0, :, -1] < 1e-3 * arrays["size"][0])
    assert np.all(arrays["network_to_exact"][0, :, -1] < 0.2 * arrays["size"][0])
    # Two optima apart: an error to one is at least the distance less the error to the other.
    apart = np.sqrt(arrays["gap"][0]) - np.sqrt(arrays["to_exact"][0, :, -1])
    assert np.all(np.sqrt(arrays["to_usual"][0, :, -1]) > 0.8 * apart)
    assert result.status == "complete"


def test_the_usual_optimum_is_worse_by_half_its_distance(result):
    """J(u*) - J(u) is half the error of u on its own paths, to first order in the distance."""
    case = make_case(config(), "ou_quadratic_easy")
    problem, usual = case.standard.problem, case.standard.usual
    assert usual is not None
    arrays = lq.linear_quadratic(problem)
    gains = (problem.chain.sigmas**2 / problem.betas)[:, None, None]
    policy = lq.Policy(arrays.A + gains * usual.C, arrays.b + gains[..., 0] * usual.h)
    best, found = (
        float(lq.expected(arrays, value))
        for value in (lq.optimum(arrays).value, lq.evaluate(arrays, policy))
    )
    claim = next(c for c in result.claims if "error of the usual optimum" in c.statement)
    # The mean over 1,000 paths of a quantity that varies by its own size is known to 3%.
    assert claim.measured.value == pytest.approx(2 * (best - found), rel=0.15)


def test_the_ratio_of_a_quadratic_problem_is_that_of_its_riccati_recursion():
    """Coordinates of the easy problem do not interact: ρ_t = |P_{t+1}| σ²/β, one number each."""
    case = make_case(config(), "ou_quadratic_easy")
    problem = case.standard.problem
    expected = lq.optimum(lq.linear_quadratic(problem)).ratios.max()
    found = jax.jit(separate_ratio)(problem, case.optimum, case.exact.states[:, :4])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.slow
def test_the_double_well_comes_close_to_its_optimum():
    words = (f"benchmark.problems=[ou_quadratic_easy,{WELL}]", "seeds=1", "benchmark.well_sweeps=8")
    result = benchmark_problems.run(config(*words, "benchmark.well_paths=512"), Given(), Stages())
    errors = result.arrays["well_to_exact"].values[0]
    # A share of 0.2 leaves 0.8^8 = 17% of the distance, 3% of the error, besides noise and ridge.
    assert errors[-1] < 0.2 * errors[0]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("beta=1", "beta has no effect when study=benchmark_problems"),
        ("data.d=3", "data.d has no effect when study=benchmark_problems"),
        ("schedule.num_steps=7", "schedule.num_steps has no effect when study=benchmark_problems"),
        (
            "parametric.num_paths=7",
            "parametric.num_paths has no effect when study=benchmark_problems",
        ),
        ("sweep.beta=[1.0,2.0]", "sweep.beta has no effect when study=benchmark_problems"),
        ("sweep.seeds=[1,2]", "sweep.seeds is no axis of benchmark_problems"),
        (f"benchmark.problems=[{WELL}]", "must hold another one beside double_well"),
    ],
)
def test_fields_of_other_studies_are_refused(word, message):
    with pytest.raises(InputError, match=message):
        benchmark_problems.run(config(word), Given(), Stages())


def test_a_problem_twice_is_refused():
    with pytest.raises(InputError, match="must be distinct"):
        config("benchmark.problems=[ou_linear,ou_linear]")
