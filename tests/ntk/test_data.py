"""Data in the cube: what is refused and in which words, scaling, duplicates, digits, names."""

import jax
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk import data
from fineq.ntk.named import make_target, point_target
from fineq.studies.ntk.config import TARGETS


@pytest.fixture(name="reduced", scope="module")
def _reduced():
    return data.digits(8)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (
            [[0.0, 1.0], [1.5, 0.0], [0.5, -3.0]],
            r"points must lie in \[-1, 1\]\^2, but 2 of 3 points do not and the largest "
            r"coordinate is 3: scale=True scales them",
        ),
        ([[0.0], [np.nan]], r"points must be finite, but its entry \[1, 0\] is nan"),
        ([[0.0], [np.inf]], r"entry \[1, 0\] is inf"),
        (np.zeros((0, 2)), r"points must hold points of shape \[S, d\], got shape \(0, 2\)"),
        (np.zeros((2, 0)), r"got shape \(2, 0\)"),
        (np.zeros(3), r"points on a line have shape \[3, 1\]"),
        ([["a"], ["b"]], r"points must hold real numbers"),
    ],
)
def test_bad_points_are_refused(x, sentence):
    with pytest.raises(InputError, match=sentence):
        point_target(x)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1.0], r"^weights has shape \(1,\), but there are 2 points"),
        (["a", "b"], r"^weights must hold real numbers"),
        ([0.5, 0.5j], r"^weights must hold real numbers"),
        ([0.0, 1.0], r"^weights must be positive"),
        ([0.7, 0.7], r"^weights must sum to 1, got 1.4"),
    ],
)
def test_bad_weights_are_refused(weights, sentence):
    with pytest.raises(InputError, match=sentence):
        point_target([[0.0], [0.5]], weights)


def test_a_configuration_is_told_its_fields():
    sentence = r"target.path must lie in .*: target.scale=true scales them"
    with pytest.raises(InputError, match=sentence):
        make_target("points", given=([[2.0]], None), field="target")
    with pytest.raises(InputError, match=r"target.weights must sum to 1"):
        make_target("points", given=([[0.5]], [2.0]), field="target")
    with pytest.raises(InputError, match=r"target.d must lie in 2..16"):
        make_target("digits", 40, field="target")


def test_duplicates_are_merged_with_their_weights():
    x = np.array([[0.5, 0.0], [0.1, 0.2], [0.5, -0.0], [0.1, 0.2], [0.5, 0.0]])
    made = point_target(x, [0.1, 0.2, 0.3, 0.15, 0.25])
    assert made.num_merged == 3
    np.testing.assert_array_equal(made.law.locations, x[:2])
    np.testing.assert_allclose(np.exp(made.law.log_weights), [0.65, 0.35], rtol=1e-14)
    merged = data.merge(x)
    np.testing.assert_array_equal(merged.locations[merged.position], x)


def test_scaling_fills_the_cube_and_keeps_proportions():
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1.0, 20.0, 5.0] + [100.0, 0.0, -7.0]
    scaled, scaling = data.to_cube(x)
    np.testing.assert_allclose(scaling.undo(scaled), x, rtol=1e-12)
    # One factor: the longest side touches both faces, the others lie in the middle.
    np.testing.assert_allclose(np.abs(scaled).max(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(scaled.max(0) + scaled.min(0), 0, atol=1e-12)
    apart = np.linalg.norm(scaled[1:] - scaled[:-1], axis=1)
    wide = np.linalg.norm(x[1:] - x[:-1], axis=1)
    np.testing.assert_allclose(apart / wide, (apart / wide)[0], rtol=1e-12)
    applied = point_target(x, scale=True).scaling
    assert applied is not None
    assert applied.factor == scaling.factor
    np.testing.assert_array_equal(data.to_cube([[3.0, 4.0]])[0], [[0.0, 0.0]])


def test_digits_are_principal_components_in_the_cube(reduced):
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = pixels / 16
    covariance = np.cov(images.T, ddof=0)
    values, vectors = np.linalg.eigh(covariance)  # a second route: eigenvectors, ascending
    overlap = np.abs(np.sum(reduced.axes * vectors[:, ::-1][:, :8].T, axis=1))
    # The gaps between leading eigenvalues are above 1e-2 of the largest: ε/gap.
    np.testing.assert_allclose(overlap, 1, rtol=1e-10)
    np.testing.assert_allclose(reduced.explained, values[::-1][:8].sum() / values.sum(), rtol=1e-10)
    largest = np.argmax(np.abs(reduced.axes), axis=1)
    assert np.all(reduced.axes[np.arange(8), largest] > 0)
    assert reduced.locations.shape == (1797 - reduced.num_merged, 8)
    np.testing.assert_array_equal(reduced.labels, labels)  # no two images coincide
    np.testing.assert_allclose(np.abs(reduced.locations).max(), 1, rtol=1e-12)
    # Images of the points are the projections of the images.
    projected = (images - images.mean(0)) @ reduced.axes.T @ reduced.axes + images.mean(0)
    np.testing.assert_allclose(
        reduced.images(reduced.locations).reshape(-1, 64), projected, atol=1e-12
    )


def test_fewer_digit_axes_are_the_leading_ones(reduced):
    few = data.digits(2)
    np.testing.assert_allclose(few.axes, reduced.axes[:2], atol=1e-12)


@pytest.mark.parametrize("d", [1, 17])
def test_digits_in_other_dimensions_are_refused(d):
    with pytest.raises(InputError, match=rf"^d must lie in 2..16 for digits, got {d}"):
        data.digits(d)


@pytest.mark.parametrize("name", TARGETS)
def test_every_named_target_lies_in_the_cube(name):
    import jax

    given = ([[0.5, 1.0], [-1.0, 0.0]], None)
    law = make_target(name, given=given).law
    draws = np.asarray(law.sample(jax.random.key(0), 100))
    assert draws.shape == (100, {"three_points": 1, "digits": 8}.get(name, 2))
    assert np.all(np.abs(draws) <= 1)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"name": "nosuch"}, r"^name must be one of three_points, .*, got nosuch"),
        ({"name": "points"}, r"points must be given"),
        ({"name": "boxes", "size": 1.0}, r"size in \(0, 1\), got 2, 3 and 1"),
        ({"name": "mixture", "d": 0}, r"must be at least 1"),
    ],
)
def test_bad_targets_are_refused(kwargs, sentence):
    with pytest.raises(InputError, match=sentence):
        make_target(**kwargs)


def test_one_component_in_one_dimension_is_a_law():
    law = make_target("mixture", 1, num_components=1).law
    assert law.d == 1
    assert law.sample(jax.random.key(0), 3).shape == (3, 1)
