"""Networks beside kernel descent: the reference, the distance, and its fall with the width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.coupling import coupling, distance, kernel_predictions
from fineq.ntk.tangent import gram, kernel
from fineq.ntk.training import make_data


def data_sets(num, N=24, M=10):
    def one(seed):
        rng = np.random.default_rng(seed)
        return make_data(*(rng.normal(size=s) for s in ((N, 3), (N, 2), (M, 3))))

    return jax.tree.map(lambda *x: jnp.stack(x), *map(one, range(num)))


def test_kernel_predictions_are_those_of_a_plain_loop():
    data = jax.tree.map(lambda x: x[0], data_sets(1))
    K, cross = np.asarray(gram(data.z)), np.asarray(kernel(data.fresh, data.z))
    train, fresh = kernel_predictions(data, np.array([0, 3, 7]))
    f, g = np.zeros((24, 2)), np.zeros((10, 2))
    for k in range(8):
        if k in (0, 3, 7):
            at = [0, 3, 7].index(k)
            np.testing.assert_allclose(train[at], f, atol=1e-12)
            np.testing.assert_allclose(fresh[at], g, atol=1e-12)
        pull = float(data.eta) / 24 * (f - np.asarray(data.labels))
        f, g = f - K @ pull, g - cross @ pull


def test_distance_is_the_root_mean_square_over_inputs():
    f = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(distance(f, np.zeros((2, 2))), np.sqrt(25 / 2))


def test_networks_from_zero_approach_the_kernel_and_plain_ones_do_not():
    data, widths = data_sets(8), [64, 4096]
    found = coupling(data, widths, num_steps=6)
    assert found.fresh.shape == (2, 8, len(found.times))
    np.testing.assert_allclose(found.train[..., 0], 0, atol=1e-5)  # f_0 = 0, float32
    for where in ("train", "fresh"):
        # 64 times the width: a factor 8. The gap of one seed scatters by about a third, so the
        # exponent of the median of 8 by about 0.2 / log 64 = 0.05.
        assert abs(found.slope(where).slope + 0.5) < 0.15
    plain = coupling(data, widths[1:], num_steps=6, start="plain")
    # f_0 has variance |z|²/2 per output at every width.
    size = np.sqrt(np.mean(np.sum(np.square(data.fresh), axis=-1)))
    np.testing.assert_allclose(np.sqrt(np.mean(plain.fresh[..., 0] ** 2, -1)), size, rtol=0.5)
    assert np.median(plain.gap()) > 0.5 * size
    assert not found.diverged.any()


@pytest.mark.parametrize(
    ("widths", "seeds", "words"),
    [([8, 4], None, "rise"), ([3], None, "even"), ([4], [0, 1, 2], "one data set per seed")],
)
def test_bad_input_is_refused(widths, seeds, words):
    with pytest.raises(InputError, match=words):
        coupling(data_sets(2), widths, num_steps=2, seeds=seeds)
