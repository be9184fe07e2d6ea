"""Exact references warn a script that forgot float64, and nobody else."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.arrays import prefer_float64
from fineq.ddpm import laws, schedules
from fineq.errors import PrecisionWarning
from fineq.nlqr.riccati import dare
from fineq.ntk.spectral import spectrum
from fineq.pift import hjb, lq
from fineq.pift.grid import solve
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.tensor import make_grid
from fineq.pift.problem import ddpm_chain, make_problem
from fineq.pift.rewards import linear

ONE = np.ones((1, 1))


def problem():
    schedule = schedules.make_schedule(jnp.full(2, 0.5))
    chain = ddpm_chain(laws.standard_normal(1), schedule)
    return make_problem(chain, linear(jnp.ones(1)), jnp.ones(2))


def on_a_grid():
    grid = make_grid([-3.0], [3.0], 9)
    return solve.optimum(gridded(problem(), grid, jnp.ones((3, 9), bool)))


def by_hopf_cole():
    domain = hjb.make_domain(laws.standard_normal(1), 0.5, 4, 9, 4.0)
    return hjb.hopf_cole(hjb.bellman_equation(domain, jnp.zeros(9), jnp.ones(())))


REFERENCES = {
    "nlqr.dare": lambda: dare(ONE / 2, ONE, ONE, ONE),
    "pift.lq.optimum": lambda: lq.optimum(lq.linear_quadratic(problem())),
    "pift.grid.optimum": on_a_grid,
    "pift.hopf_cole": by_hopf_cole,
    "ntk.spectrum": lambda: spectrum(np.eye(2)),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_without_float64_warns_at_the_line_that_asks(name):
    with jax.enable_x64(False), pytest.warns(PrecisionWarning, match="jax_enable_x64") as found:
        REFERENCES[name]()
    assert {w.filename for w in found} == {__file__}
    assert str(found[0].message).startswith(f"{name} is meant to be exact")


@pytest.mark.parametrize("name", REFERENCES)
def test_with_float64_there_is_no_warning(name):
    REFERENCES[name]()  # a warning is an error here


def test_float32_that_is_meant_passes():
    one = np.float32(ONE)
    assert dare(one / 2, one, one, one).P.dtype == jnp.float32


@pytest.mark.slow
def test_a_loop_is_warned_once_and_two_lines_twice():
    with jax.enable_x64(False), warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            prefer_float64("nlqr.dare")
        prefer_float64("nlqr.dare")
    assert [w.category for w in found] == [PrecisionWarning] * 2
