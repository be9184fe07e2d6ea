import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.decay import decay_exponent


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_exponent_of_a_power_is_found(dtype):
    values = (3.0 * np.arange(1, 101) ** -1.7).astype(dtype)
    values[:3] = 100  # the head is left out
    values[30:] = 0  # and so is the tail
    found = decay_exponent(values)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, 1.7, rtol=100 * np.finfo(dtype).eps)


def test_few_eigenvalues_have_no_exponent():
    assert np.isnan(decay_exponent(np.ones(23)))  # ranks 4 alone
    assert np.isfinite(decay_exponent(np.arange(24, 0, -1.0)))
    with pytest.raises(InputError, match="values must have 1 axes"):
        decay_exponent(np.ones((3, 3)))
