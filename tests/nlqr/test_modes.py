"""Hidden modes are found whatever the units, and named."""

import numpy as np
import pytest
import scipy.linalg

from fineq.errors import InputError
from fineq.nlqr.checks import (
    build_system,
)
from fineq.nlqr.features import Zero
from fineq.nlqr.modes import fixed_modes, name_mode, uncontrollable_modes


def hidden_modes(seed, moved, stuck, inputs):
    """A system whose modes `stuck` no input moves, in random orthogonal coordinates."""
    rng = np.random.default_rng(seed)
    m, k = len(moved), len(stuck)
    upper = np.block([[moved, rng.normal(size=(m, k))], [np.zeros((k, m)), stuck]])
    B = np.concatenate([rng.normal(size=(m, inputs)), np.zeros((k, inputs))])
    turn = np.linalg.qr(rng.normal(size=(m + k, m + k)))[0]
    return turn @ upper @ turn.T, turn @ B


def hautus_gap(A, B, mode):
    """The least singular value of [λI - A, B]: 0 exactly for an uncontrollable mode λ."""
    test = np.concatenate([mode * np.eye(len(A)) - A, B], axis=1)
    return np.linalg.svd(test, compute_uv=False)[-1]


ROTATION = np.array([[0.0, 1.2], [-1.2, 0.0]])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stuck", [np.diag([1.5]), np.diag([0.3, -2.0]), ROTATION])
@pytest.mark.parametrize("inputs", [1, 2])
def test_hidden_modes_are_found_and_fail_the_hautus_test(seed, stuck, inputs):
    moved = np.random.default_rng(100 + seed).normal(size=(4, 4))
    A, B = hidden_modes(seed, moved, stuck, inputs)
    modes = uncontrollable_modes(A, B)
    # Well-conditioned blocks: eigenvalues good to a few hundred rounding units.
    np.testing.assert_allclose(
        np.sort_complex(modes),
        np.sort_complex(np.linalg.eigvals(stuck).astype(complex)),
        atol=1e-11,
    )
    for mode in np.linalg.eigvals(A):
        hidden = np.min(np.abs(modes - mode)) < 1e-6
        assert (hautus_gap(A, B, mode) < 1e-10) == hidden


def test_an_uncontrollable_mode_inside_a_jordan_block_is_found():
    # Eigenvalue 1 twice, one copy movable: computed eigenvalues are off by 1e-8, and the Hautus
    # test at them sees nothing at 1e-10; the splitting does.
    A, B = hidden_modes(3, np.array([[1.0]]), np.array([[1.0]]), 1)
    assert len(fixed_modes(A, B)) == 1
    np.testing.assert_allclose(uncontrollable_modes(A, B), [1.0], atol=1e-12)


@pytest.mark.parametrize("n", [1, 4, 16, 40])
def test_random_pairs_are_controllable_and_no_input_moves_nothing(n):
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, n))
    assert len(uncontrollable_modes(A, rng.normal(size=(n, 1)))) == 0
    # The units of the input do not matter.
    assert len(uncontrollable_modes(A, 1e-14 * rng.normal(size=(n, 1)))) == 0
    assert len(uncontrollable_modes(A, 1e14 * rng.normal(size=(n, 1)))) == 0
    every = uncontrollable_modes(A, np.zeros((n, 2)))
    np.testing.assert_allclose(
        np.sort(np.abs(every)), np.sort(np.abs(scipy.linalg.eigvals(A))), rtol=1e-9
    )
    assert np.all(np.diff(np.abs(every)) <= 0)


def test_modes_are_named():
    assert name_mode(1.25 + 0j) == "1.25"
    assert name_mode(0.6 - 0.8j) == "0.6±0.8i (modulus 1)"


def in_other_units(system, states, inputs):
    """The plant of states `states * x` and inputs `inputs * u`, exactly, for powers of two."""
    A, B, Q, R = system
    moved = states[:, None] * A / states, states[:, None] * B / inputs
    return *moved, Q / np.outer(states, states), R / np.outer(inputs, inputs)


def verdict(A, B, Q, R):
    n = len(A)
    try:
        build_system(A, B, np.zeros((n, 1)), Q, R, phi=Zero(1))
    except InputError as error:
        return str(error).split(":")[0].split(", but")[0]
    return "valid"


def plant_of_kind(kind, rng, n=4, p=2):
    A, B = 1.2 * rng.normal(size=(n, n)), rng.normal(size=(n, p))
    root = rng.normal(size=(n, n))
    Q, R = root.T @ root, np.eye(p) + 0.5
    if kind == "out of reach":
        A, B = hidden_modes(int(rng.integers(1000)), A[:3, :3], np.diag([1.5]), p)
    if kind == "unseen":
        A, C = hidden_modes(int(rng.integers(1000)), A[:2, :2], ROTATION, 1)
        A, Q = A.T, C @ C.T
    if kind == "chain":
        # One input at the end of a chain, one cost at the other: nothing but zeros elsewhere.
        A, B, Q = 1.5 * np.eye(n) + np.eye(n, k=1), np.eye(n)[:, -1:], np.diag([1.0, 0, 0, 0])
        R = np.eye(1)
    if kind == "indefinite Q":
        Q = Q - 2 * np.linalg.eigvalsh(Q)[1] * np.eye(n)
    if kind == "singular R":
        R = np.ones((p, p))
    if kind == "asymmetric Q":
        Q[0, 1] *= 1 + 1e-10
    return A, B, Q, R


VERDICTS = {
    "valid": "valid",
    "chain": "valid",
    "out of reach": "(A, B) is not stabilisable",
    "unseen": "(A, Q) is not detectable",
    "indefinite Q": "system.Q must be positive semidefinite",
    "singular R": "system.R must be positive definite",
    "asymmetric Q": "system.Q must be symmetric",
}


@pytest.mark.parametrize("kind", VERDICTS)
@pytest.mark.parametrize("seed", range(4))
def test_units_change_no_verdict(kind, seed):
    rng = np.random.default_rng(seed)
    system = plant_of_kind(kind, rng)
    n, p = system[1].shape
    assert verdict(*system) == VERDICTS[kind]
    for _ in range(10):
        states, inputs = (np.exp2(rng.integers(-40, 41, size)) for size in (n, p))
        assert verdict(*in_other_units(system, states, inputs)) == VERDICTS[kind]
