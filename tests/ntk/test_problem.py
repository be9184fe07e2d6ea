"""Regressions: precision, one output, and what is refused; distances from what is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.problem import loss_of, make_regression, measures


@pytest.mark.parametrize(
    ("z", "y", "fresh", "words"),
    [
        (np.ones((3, 2)), np.ones((2, 1)), None, r"labels must be \[N, d\] for the 3 inputs"),
        (np.ones((3, 2)), np.ones((3, 1, 1)), None, "labels must have 1 or 2 axes"),
        (np.ones((3, 2)), np.ones((3, 0)), None, "labels must be"),
        (np.full((3, 2), np.nan), np.ones((3, 1)), None, "inputs must be finite"),
        (np.ones((3, 2)), np.array([1, np.inf, 1]), None, "labels must be finite"),
        (np.ones((0, 2)), np.ones((0, 1)), None, "at least one"),
        (np.ones((3, 2)), np.ones((3, 1)), np.ones((3, 3)), "as many columns"),
        (np.ones((3, 2)), np.array(["a", "b", "c"]), None, "labels must hold real numbers"),
    ],
)
def test_bad_data_are_refused(z, y, fresh, words):
    with pytest.raises(InputError, match=words):
        make_regression(z, y, fresh)


def test_the_precision_is_that_of_the_inputs_and_one_output_needs_no_axis():
    z = np.ones((3, 2), np.float32)
    made = make_regression(z, [1, 2, 3])
    assert made.labels.shape == (3, 1)
    assert made.fresh.shape == (0, 2)
    assert {x.dtype for x in made} == {np.dtype(np.float32)}
    assert make_regression(z, [1, 2, 3], np.ones((1, 2))).z.dtype == np.float64


def test_loss_and_distance_are_those_of_the_formulas():
    rng = np.random.default_rng(0)
    y, f, fresh, known = (rng.normal(size=(n, 2)) for n in (5, 5, 4, 4))
    problem = make_regression(rng.normal(size=(5, 3)), y, rng.normal(size=(4, 3)))
    half = sum(np.sum((f[j] - y[j]) ** 2) for j in range(5)) / 10
    np.testing.assert_allclose(loss_of(jnp.asarray(f), problem), half, rtol=1e-14)
    found = measures(problem, jnp.asarray(f), jnp.asarray(fresh), known)
    apart = np.sqrt(np.mean([np.sum((fresh[j] - known[j]) ** 2) for j in range(4)]))
    np.testing.assert_allclose(found["distance"], apart, rtol=1e-14)
    assert set(measures(problem, jnp.asarray(f), jnp.asarray(fresh), None)) == {
        "train", "fresh", "loss",
    }  # fmt: skip
    with pytest.raises(InputError, match="reference must hold predictions at the fresh inputs"):
        measures(problem, jnp.asarray(f), jnp.asarray(fresh), known[:3])
