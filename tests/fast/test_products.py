"""Products lane by lane against einsum, within and beyond the sizes that are written out."""

import jax.numpy as jnp
import numpy as np
import pytest

from fineq.fast.products import LARGEST_OWN, LARGEST_SHARED, apply, dot, entries, form, quadratic

SIZES = [(1, 1), (3, 6), (9, 4), (9, 9), (24, 24)]
EXACT = {"rtol": 1e-13, "atol": 1e-13}


def draw(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape))


def test_sizes_lie_on_both_sides_of_the_limits():
    for limit in (LARGEST_SHARED, LARGEST_OWN):
        assert {a * b <= limit for a, b in SIZES} == {True, False}


@pytest.mark.parametrize(("a", "b"), SIZES)
def test_a_matrix_on_every_lane(a, b):
    M, own, v = draw(a, b), draw(a, b, 7), draw(b, 7)
    np.testing.assert_allclose(apply(M, v), np.einsum("ab,bj->aj", M, v), **EXACT)
    np.testing.assert_allclose(apply(own, v), np.einsum("abj,bj->aj", own, v), **EXACT)


@pytest.mark.parametrize("n", [1, 3, 9])
def test_a_quadratic_form_on_every_lane(n):
    M, v = draw(n, n), draw(n, 7)
    want = np.einsum("aj,ab,bj->j", v, M, v)
    np.testing.assert_allclose(quadratic(M, v), want, **EXACT)
    np.testing.assert_allclose(form(entries(M), list(v)), want, **EXACT)
    np.testing.assert_allclose(dot(list(v), list(v)), np.sum(v**2, axis=0), **EXACT)
