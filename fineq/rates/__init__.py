"""Rates of convergence with uncertainty, fitted on the host to recorded numbers.

`linear_rate` fits e_k ~ C ratio^k, `power_law` fits y ~ c x^slope; the intervals serve claims.
"""

from fineq.rates.intervals import Interval, bootstrap_interval, median_interval, proportion
from fineq.rates.linear import Rate, linear_rate
from fineq.rates.power import PowerLaw, power_law
from fineq.rates.sequence import SequenceRate, Verdict

__all__ = [
    "Interval",
    "PowerLaw",
    "Rate",
    "SequenceRate",
    "Verdict",
    "bootstrap_interval",
    "linear_rate",
    "median_interval",
    "power_law",
    "proportion",
]
