"""Parametric PI-FT: simulated value gradients, linear features and networks.

A control is written through its costate c, m_t = m0_t + (S_t/β_t) c_t; PI-FT regresses c_t(Y_t) on
simulated ∇V_{t+1}(Y_{t+1}). Source: arXiv 2412.18164 (`pift/parametric`).
"""

from fineq.optimiser import Optimiser
from fineq.pift.parametric.error import Reference, reference_on_paths
from fineq.pift.parametric.features import (
    Features,
    Scale,
    fourier,
    polynomial,
    radial,
    separate,
    standard_scale,
)
from fineq.pift.parametric.linear import LinearCostate, LinearSweeps
from fineq.pift.parametric.linear_nested import LinearNested
from fineq.pift.parametric.networks import NetworkCostate, network
from fineq.pift.parametric.paths import Costate, costate_of, policy_of
from fineq.pift.parametric.training import NetworkAscent, NetworkSweeps

__all__ = [
    "Costate",
    "Features",
    "LinearCostate",
    "LinearNested",
    "LinearSweeps",
    "NetworkAscent",
    "NetworkCostate",
    "NetworkSweeps",
    "Optimiser",
    "Reference",
    "Scale",
    "costate_of",
    "fourier",
    "network",
    "policy_of",
    "polynomial",
    "radial",
    "reference_on_paths",
    "separate",
    "standard_scale",
]
