"""What public functions of score learning are given is checked at the door, in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import ntk
from fineq.errors import InputError

PROCESS = ntk.make_process()
LAW = ntk.make_target("five_points").law
KEY = jax.random.key(0)
TWO = np.ones((2, 3))
FREEDOM = ntk.degrees_of_freedom(jnp.ones(4), 0.5, jnp.array([1.0, 2.0]))


@pytest.mark.parametrize(
    "function", [ntk.denoise, ntk.covariance, ntk.noise, ntk.log_density, ntk.score, ntk.slope]
)
@pytest.mark.parametrize(
    ("t", "x", "words"),
    [
        (np.ones(3), np.ones((2, 2)), r"states must be \[N, 2\] for the 3 times, got \(2, 2\)"),
        (np.ones(3), np.ones((3, 1)), r"got \(3, 1\)"),
        (1.0, np.ones((1, 2)), "times must have 1 axes"),
        (np.ones(3), np.ones(3), "states must have 2 axes"),
        (np.ones(1), np.ones((1, 2), complex), "states must hold real numbers"),
    ],
)
def test_posteriors_want_times_and_states(function, t, x, words):
    with pytest.raises(InputError, match=words):
        function(PROCESS, LAW, t, x)


def test_posteriors_want_a_law_they_know():
    with pytest.raises(InputError, match="no posterior is known of a law of type int"):
        ntk.denoise(PROCESS, 3, np.ones(1), np.ones((1, 2)))  # pyright: ignore[reportArgumentType]


def test_lists_are_arrays():
    expected = ntk.denoise(PROCESS, LAW, jnp.ones(1), jnp.zeros((1, 2)))
    np.testing.assert_array_equal(ntk.denoise(PROCESS, LAW, [1.0], [[0.0, 0.0]]), expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ntk.hold_out(TWO, np.ones(2), [1, 2]), "held-out labels must have"),
        (lambda: ntk.oracle([1.0, 2.0], [1.0]), "one value for each training time"),
        (lambda: ntk.oracle([], []), "one value for each training time"),
        (lambda: ntk.cross_validation(np.ones(3), FREEDOM, 4, [1, 2]), "as many training times"),
        (lambda: ntk.cross_validation(np.ones(2), FREEDOM, 4, [1.0]), "one value for each"),
        (lambda: ntk.noise_level(np.ones(3), FREEDOM, 4), "as many training times"),
        (lambda: ntk.noise_level(np.ones(2), FREEDOM, 0), "number of points must be at least 1"),
        (lambda: ntk.complexity(TWO, 0.1, [1.0]), "values must have 1 axes"),
        (lambda: ntk.complexity([1.0], 0.1, TWO), "times must have 0 or 1 axes"),
        (lambda: ntk.complexity_bracket([1, 1], 1.0, 0.1, [1.0], 1), "top must hold 1 to 1"),
        (lambda: ntk.local_rademacher(["a"], [1.0], 0.1), "must hold real numbers"),
        (lambda: ntk.split(KEY, 3, 0.01), "held-out share of 3 points"),
        (lambda: ntk.radius(["a"]), "norm must hold real numbers"),
        (lambda: ntk.sliced_wasserstein(KEY, TWO, np.ones((3, 3))), "of one size"),
        (lambda: ntk.sliced_wasserstein(KEY, TWO, np.ones((2, 2))), "of one d"),
        (lambda: ntk.sliced_wasserstein(KEY, TWO, TWO, 0), "num_projections must be at least 1"),
        (lambda: ntk.discrepancy(TWO, np.ones((1, 3)), 1.0), "two or more"),
        (lambda: ntk.median_distance(np.ones((1, 3))), "two or more rows"),
        (lambda: ntk.sample(KEY, PROCESS, lambda t, x: x, np.ones(3), 2), "start must have 2 axes"),
        (lambda: ntk.largest_eigenvalue(np.ones(3)), "points must be the rows"),
    ],
)
def test_wrong_shapes_and_types_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_every_public_name_is_documented():
    for name in ntk.__all__:
        assert getattr(ntk, name).__doc__, name
