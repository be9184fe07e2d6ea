"""Rates of convergence with uncertainty, fitted on the host to recorded numbers; no JAX is loaded.

    rate = linear_rate(iterations, errors)      e_k ~ C exp(slope k), errors [seed, record]
    law = power_law(x, y)                       y ~ c x^slope, y [seed, x]
    rate.slope, rate.low, rate.high, rate.verdict

Burn-in and the floor of rounding are found and left out; a seed that diverged counts as diverged.
`Interval` is a number with its ends and confidence: `median_interval` (order statistics, for any
law), `mean_interval` (Student's t), `pooled_interval` (estimates with a margin each), `proportion`
(Clopper and Pearson), `exact_value`.
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
from fineq.rates.power import PowerLaw, paired_exponents, power_law
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
    "paired_exponents",
    "pooled_interval",
    "power_law",
    "proportion",
    "proportion_ends",
    "student_margin",
    "values_for",
]
