"""Continuous time: mean squares by quadrature of their own, values by closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm.laws import mixture
from fineq.pift import rewards, tilting
from fineq.pift.continuous import mean_square, quadrature


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


def test_quadrature_is_the_closed_form_where_there_is_one():
    law = mixture(np.full(2, 0.5), [[-1.5], [1.5]], np.full((2, 1, 1), 0.25))
    reward = rewards.quadratic([[-1.0]], [0.5])
    y = jnp.linspace(-2.0, 2.0, 5)
    value, control = jax.jit(quadrature)(law, reward, jnp.asarray(0.7), jnp.asarray(0.3), y)
    for found, exact in ((value, tilting.value), (control, tilting.control)):
        at = jax.jit(jax.vmap(lambda y, exact=exact: exact(law, reward, 0.7, 0.3, y[None])))
        truth = at(y)
        np.testing.assert_allclose(found, truth.reshape(5), rtol=1e-9)
