"""Does a sequence fall at all? Decided on k and on log k, against correlated noise."""

import numpy as np

from fineq.rates.regression import fit_line

# A slope counts as real from this many standard errors on.
SIGNIFICANT = 3.0
# So many records in strictly falling order are a fall: chance is 1 in 24.
_MIN_IN_ORDER = 4


def log_time(k: np.ndarray) -> np.ndarray:
    """Return log(iteration), shifted by the first spacing where records start at 0; [R] -> [R].

    It changes by a constant when all iterations are multiplied by one factor, so that no decision
    depends on the unit of time.
    """
    return np.log(k + (k[1] - k[0] if k[0] == 0 else 0.0))


def falls(k: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Say whether y [n] falls: a significant slope in k or x [n], or strictly falling order."""
    # Differences of logarithms below this are rounding.
    if y.size < 2 or np.ptp(y) <= 1e-12 * max(1.0, float(np.max(np.abs(y)))):
        return False
    if y.size >= _MIN_IN_ORDER and np.all(np.diff(y) < 0):
        return True
    return _descends(k, y) or _descends(x, y)


def _descends(t: np.ndarray, y: np.ndarray) -> bool:
    line = fit_line(t, y)
    return line.slope < -SIGNIFICANT * line.stderr
