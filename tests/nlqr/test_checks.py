"""Arrays, features and laws that are refused, by name and shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.nlqr.checks import (
    build_system,
    check_law,
    check_system,
    law_from_arrays,
    system_from_arrays,
)
from fineq.nlqr.features import Custom, Products, Sine, Tanh, Zero
from fineq.nlqr.laws import Ball, Gaussian, Points, Sphere
from fineq.nlqr.random_systems import random_system


def good(**changes):
    """Two states, one control: everything a system needs, with some arrays replaced."""
    arrays = {
        "A": np.array([[1.1, 0.3], [0.0, 0.7]]),
        "B": np.array([[1.0], [0.5]]),
        "C": 0.2 * np.eye(2),
        "Q": np.eye(2),
        "R": np.eye(1),
    }
    return {**arrays, **changes}


def with_entry(matrix, index, value):
    changed = np.array(matrix)
    changed[index] = value
    return changed


def test_good_arrays_make_a_system():
    arrays = good(Q=np.array([[1, 0], [0, 0]]))
    system = system_from_arrays(arrays, phi=Tanh(), scale=2)
    for name, given in arrays.items():
        got = getattr(system, name)
        np.testing.assert_array_equal(got, given)
        assert got.dtype == jnp.float64
    assert (float(system.scale), system.phi) == (2.0, Tanh())
    assert system_from_arrays(arrays).phi == Sine()
    assert system_from_arrays(arrays, dtype=jnp.float32).A.dtype == jnp.float32
    assert check_system(system) is system


BAD_ARRAYS = [
    ({"A": np.ones((2, 3))}, r"system\.A must be a square matrix, got shape \(2, 3\)"),
    ({"A": np.zeros((0, 0))}, r"system\.A must be a square"),
    ({"A": np.ones(2)}, r"system\.A must have 2 axes, got shape \(2,\)"),
    ({"A": [[1.0, 2.0], [3.0]]}, r"system\.A must be an array, but its rows differ"),
    (
        {"A": [["a", "b"], ["c", "d"]]},
        r"system\.A must hold real numbers, got an array of type <U1",
    ),
    ({"A": np.eye(2) * 1j}, r"system\.A must hold real numbers"),
    ({"B": np.ones((3, 1))}, r"B has shape \(3, 1\), but system\.A has shape \(2, 2\).* 2 rows"),
    ({"B": np.ones((2, 0))}, r"system\.B must have at least one column"),
    ({"C": np.ones((1, 2))}, r"C has shape \(1, 2\), but system\.A has shape \(2, 2\).* 2 rows"),
    ({"Q": np.eye(3)}, r"Q has shape \(3, 3\), but system\.A has shape \(2, 2\).*shape \(2, 2\)"),
    ({"R": np.eye(2)}, r"R has shape \(2, 2\), but system\.B has shape \(2, 1\).*shape \(1, 1\)"),
    (
        {"A": with_entry(np.eye(2), (1, 0), np.nan)},
        r"A must be finite, but its entry \[1, 0\] is nan$",
    ),
    ({"C": np.full((2, 2), np.inf)}, r"C must be finite.*\[0, 0\] is inf \(4 such entries\)"),
    (
        {"Q": with_entry(np.eye(2), (0, 1), 0.5)},
        r"Q must be symmetric.*\[0, 1\] and \[1, 0\] are 0.5 and 0, which differ by 0.5$",
    ),
    (
        {"Q": with_entry(2 * np.eye(2), ([0, 1], [1, 0]), [1.10241, 1.10241 + 2e-10])},
        r"are 1\.10241 and 1\.10241, which differ by 2e-10$",
    ),
    (
        {"Q": np.array([[0.0, 1e-20], [1e-20, 1.0]])},
        r"semidefinite, but its entry \[0, 0\] is 0 beside 1e-20 at \[0, 1\]$",
    ),
    (
        {"Q": np.array([[1e-20, 2e-10], [2e-10, 1.0]])},
        r"semidefinite, but with its diagonal scaled to about one its least eigenvalue is -0\.854",
    ),
    ({"Q": np.diag([1.0, -2.0])}, r"Q must be positive semidefinite.*eigenvalue is -2"),
    ({"R": np.zeros((1, 1))}, r"R must be positive definite.*eigenvalue is 0"),
    ({"R": np.array([[-3.0]])}, r"R must be positive definite.*eigenvalue is -3"),
    ({"B": np.zeros((2, 1))}, r"not stabilisable.*mode of A with eigenvalue 1\.1; every mode"),
    ({"B": np.array([[0.0], [1.0]]), "A": np.diag([1.0, 0.2])}, r"not stabilisable.*eigenvalue 1;"),
    (
        {"A": np.array([[0.8, -0.9], [0.9, 0.8]]), "B": np.zeros((2, 1))},
        r"not stabilisable.*eigenvalue 0\.8±0\.9i \(modulus 1\.20416\)",
    ),
    # Here only the stable state is driven, and it drives nothing.
    (
        {"A": np.array([[1.1, 0.0], [0.3, 0.7]]), "B": np.array([[0.0], [1.0]])},
        r"not stabilisable.*eigenvalue 1\.1",
    ),
    ({"Q": np.zeros((2, 2))}, r"\(A, Q\) is not detectable.*eigenvalue 1\.1"),
    # The unstable eigenvector of A is (1, 0): Q sees only the second state.
    ({"Q": np.diag([0.0, 1.0])}, r"not detectable.*eigenvalue 1\.1"),
    ({"extra": np.eye(2)}, r"hold unknown extra; required are A, B, C, optional Q, R, x0, weights"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS)
def test_bad_arrays_are_refused(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        system_from_arrays(good(**changes))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_missing_arrays_are_named():
    arrays = good()
    del arrays["Q"], arrays["B"]
    with pytest.raises(InputError, match="lack B; required are A, B, C, optional"):
        system_from_arrays(arrays)


def test_costs_that_are_not_given_are_identities():
    arrays = good(B=np.ones((2, 3)), Q=2 * np.eye(2))
    del arrays["R"]
    np.testing.assert_array_equal(system_from_arrays(arrays).R, np.eye(3))
    np.testing.assert_array_equal(system_from_arrays(arrays).Q, 2 * np.eye(2))
    del arrays["Q"]
    np.testing.assert_array_equal(system_from_arrays(arrays).Q, np.eye(2))


def test_stable_modes_may_be_out_of_reach_and_unseen():
    A = np.diag([1.3, 0.9])
    seen = np.diag([1.0, 0.0])
    assert system_from_arrays(good(A=A, B=np.array([[1.0], [0.0]]), Q=seen)).n == 2
    # The input drives the stable state, which drives the unstable one.
    assert system_from_arrays(good(B=np.array([[0.0], [1.0]]))).n == 2


@pytest.mark.parametrize(
    ("phi", "scale", "message"),
    [
        (Sine(), -1.0, r"system\.scale must be at least 0, got -1"),
        (Sine(), np.nan, r"system\.scale must be finite"),
        (Sine(), np.ones(2), r"system\.scale must have 0 axes"),
        (
            Zero(3),
            1.0,
            r"returns shape \(3,\) for a state of shape \(2,\), but system.C has 2 columns",
        ),
        (Products([[[1, 1, 1]]]), 1.0, "factors of length 3, but the state has 2"),
        (Custom(jnp.cos, 2), 1.0, r"must vanish at 0, but phi\(0\) = \[1\.0, 1\.0\]"),
        (Custom(lambda x: x / x, 2), 1.0, r"must vanish at 0, but phi\(0\) = \[nan, nan\]"),
        (
            Custom(lambda x: x[:, None] @ x, 2),
            1.0,
            r"phi failed on a state of shape \(2,\): TypeError",
        ),
        (Custom(lambda x: x.sum(), 2), 1.0, r"returns shape \(\)"),
    ],
)
def test_bad_features_are_refused(phi, scale, message):
    with pytest.raises(InputError, match=message) as caught:
        build_system(**good(), phi=phi, scale=scale)
    assert "\n" not in str(caught.value)


def test_random_systems_pass():
    for how in ("own", "joint", "radius"):
        check_system(random_system(jax.random.key(1), Sine(), n=3, p=3, normalisation=how))


def test_a_batch_is_refused_with_its_shape():
    keys = jax.random.split(jax.random.key(0), 2)
    batch = jax.vmap(lambda k: random_system(k, Sine(), n=3, p=3, normalisation="own"))(keys)
    with pytest.raises(InputError, match=r"2 axes, got shape \(2, 3, 3\)"):
        check_system(batch)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (Sphere(0.0, 2), r"law\.radius must be positive, got 0"),
        (Ball(np.inf, 2), r"law\.radius must be finite"),
        (Sphere(1.0, 3), r"dimension 3, but system\.A has shape \(2, 2\)"),
        (Gaussian(jnp.ones((2, 3))), "must be square"),
        (Gaussian(-jnp.eye(2)), "positive semidefinite"),
        (Points(jnp.ones((2, 2)), jnp.array([0.5, 0.4])), "sum to 1, got 0.9"),
        (Points(jnp.ones((2, 2)), jnp.array([1.5, -0.5])), "at least 0, got -0.5"),
        (Points(jnp.ones((3, 2)), jnp.array([0.5, 0.5])), r"\(3, 2\).*\(2,\).*one weight"),
        (Points(jnp.full((1, 2), jnp.nan), jnp.ones(1)), r"law\.points must be finite"),
        (Points(jnp.zeros((3, 2)), jnp.full(3, 1 / 3)), r"law\.points are all 0: a state at rest"),
        (Points(jnp.diag(jnp.array([1.0, 0.0])), jnp.array([0.0, 1.0])), r"law\.points are all 0"),
        (Gaussian(jnp.zeros((2, 2))), r"law\.covariance is 0: every state stays at rest"),
    ],
)
def test_bad_laws_are_refused(law, message):
    with pytest.raises(InputError, match=message):
        check_law(law, 2)


def test_a_good_law_is_returned_as_it_is():
    law = Sphere(1.0, 2)
    assert check_law(law, 2) is law


def test_laws_from_arrays():
    x0 = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert law_from_arrays(good(), 2) is None
    law = law_from_arrays(good(x0=x0), 2)
    assert law is not None
    np.testing.assert_array_equal(law.weights, [0.5, 0.5])
    law = law_from_arrays(good(x0=x0, weights=np.array([0.25, 0.75])), 2)
    assert law is not None
    np.testing.assert_array_equal(law.points, x0)
    np.testing.assert_array_equal(law.weights, [0.25, 0.75])
    for changes, message in [
        ({"weights": np.ones(1)}, "weights but no x0"),
        ({"x0": np.ones((2, 3))}, "dimension 3"),
        ({"x0": np.zeros((0, 2))}, "at least one point"),
        ({"x0": x0, "weights": np.ones(2)}, "sum to 1"),
    ]:
        with pytest.raises(InputError, match=message):
            law_from_arrays(good(**changes), 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"R": np.diag([1e-10, 1e6]), "B": np.eye(2)},
        {"A": np.eye(2), "B": np.eye(2), "R": np.eye(2), "Q": np.diag([1e-10, 1e12])},
        {"A": np.array([[1.1, 0.3e8], [0.0, 0.7]]), "B": np.array([[1.0], [0.5e-8]])},
    ],
)
def test_valid_plants_in_uneven_units_are_taken(changes):
    assert system_from_arrays(good(**changes)).n == 2
