"""Orders of convergence of sequences whose order is known."""

import numpy as np

from fineq.rates.order import convergence_orders


def test_squared_errors_have_order_two_and_halved_ones_order_one():
    squared = np.array([1e-1, 1e-2, 1e-4, 1e-8, 1e-16])
    halved = 0.5 ** np.arange(5)
    found = convergence_orders(np.stack([squared, halved, np.full(5, 1e-12)]), 1e-10)
    np.testing.assert_allclose(found[:2], [2, 1], rtol=1e-10)
    assert np.isnan(found[2])
