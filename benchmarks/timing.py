"""Rows of a benchmark and the timing that all of them share."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Row(NamedTuple):
    """One line of the table.

    name: what was run. measured: its number in `unit`. ratio: measured over the alternative's
    number, in the same run. against: the alternative. note: what the reader must know.
    """

    name: str
    measured: float
    unit: str
    ratio: float
    against: str
    note: str = ""


def best_times(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least wall time of each, in seconds, after one call to warm up.

    They take turns, so that a machine that slows down slows all of them, and the least is taken
    because other work on the machine can only add.
    """
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        jax.block_until_ready(run())
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.perf_counter()
            jax.block_until_ready(run())
            best[name] = min(best[name], time.perf_counter() - begin)
    return best
