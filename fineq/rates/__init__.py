"""Rates of convergence with uncertainty, fitted on the host to recorded numbers.

`linear_rate` fits e_k ~ C ratio^k, `power_law` fits y ~ c x^slope; the intervals serve claims.
"""

from fineq.rates.intervals import (
    LEVEL,
    Interval,
    exact_value,
    mean_interval,
    median_interval,
    normal_margin,
    pooled_interval,
    proportion,
    proportion_ends,
    student_margin,
    values_for,
)
from fineq.rates.linear import Rate, linear_rate
from fineq.rates.power import PowerLaw, power_law
from fineq.rates.sequence import SequenceRate, Verdict

__all__ = [
    "LEVEL",
    "Interval",
    "PowerLaw",
    "Rate",
    "SequenceRate",
    "Verdict",
    "exact_value",
    "linear_rate",
    "mean_interval",
    "median_interval",
    "normal_margin",
    "pooled_interval",
    "power_law",
    "proportion",
    "proportion_ends",
    "student_margin",
    "values_for",
]
