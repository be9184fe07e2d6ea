"""Thresholds of β where they are formulas."""

import jax
import numpy as np
import pytest

from fineq.ddpm.laws import gaussian
from fineq.ddpm.schedules import linear_rate, make_schedule
from fineq.pift import lq
from fineq.pift.problem import ddpm_chain, make_problem
from fineq.pift.rewards import quadratic
from fineq.pift.thresholds import LOW, thresholds

COVARIANCE = np.array([[1.0, 0.3], [0.3, 0.5]])


def found(P, T):
    chain = ddpm_chain(gaussian([0.2, -0.4], COVARIANCE), make_schedule(linear_rate(T, 0.1, 20.0)))
    problem = make_problem(chain, quadratic(P, [1.0, 0.0]), 1.0)
    return problem, jax.jit(thresholds)(lq.linear_quadratic(problem))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_of_one_step_is_its_variance_times_the_curvature_of_the_reward(sign):
    P = sign * np.array([[0.8, 0.2], [0.2, 0.4]])
    problem, edges = found(P, 1)
    formula = float(problem.chain.sigmas[0] ** 2 * np.abs(np.linalg.eigvalsh(P)).max())
    assert edges.plain == pytest.approx(formula, rel=1e-9)
    # A reward that curves down is well posed at any price.
    assert edges.posed == pytest.approx(formula if sign > 0 else LOW, rel=1e-9)
    assert edges.step == 0


def test_well_posed_is_what_the_variance_of_the_end_given_the_start_allows():
    _, edges = found(np.diag([0.8, -0.5]), 8)
    assert edges.posed == pytest.approx(float(edges.conditional), rel=1e-9)
    assert edges.plain >= edges.posed * (1 - 1e-9)
