"""The order of convergence of an iteration from its last errors."""

import numpy as np


def convergence_orders(errors: np.ndarray, floor: float) -> np.ndarray:
    """Order log(e''/e') / log(e'/e) of the last three errors above a floor, 2 for Newton's method.

    Args:
        errors: `[S, R]` of S sequences.
        floor: errors at or below it are rounding.

    Returns:
        `[S]`; NaN where fewer than three errors lie above the floor.
    """
    found = []
    for sequence in errors:
        last = int(np.sum(sequence > floor)) - 1
        if last < 2:
            found.append(np.nan)
            continue
        e = np.log(sequence[last - 2 : last + 1])
        found.append((e[2] - e[1]) / (e[1] - e[0]))
    return np.array(found)
