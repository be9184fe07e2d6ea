"""The doors of nlqr: arrays of real numbers whose shapes agree, or one sentence."""

from jax import Array

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System


def check_arrays(system: System) -> None:
    """Raise `InputError` unless the arrays of a system are real and their shapes agree."""
    n, p, d = system.n, system.p, system.d
    if 0 in (n, p):
        raise InputError(f"a system needs n >= 1 states and p >= 1 controls, got n = {n}, p = {p}")
    wanted = {"A": (n, n), "B": (n, p), "C": (n, d), "Q": (n, n), "R": (p, p), "scale": ()}
    for name, shape in wanted.items():
        array = real_array(f"system.{name}", getattr(system, name))
        if array.shape != shape:
            raise InputError(
                f"system.{name} must have shape {shape} for n = {n}, p = {p} and d = {d}, "
                f"got {array.shape}"
            )


def check_policy(K: Array, system: System, points: Points, horizon: int) -> None:
    """Raise `InputError` for arrays that are not real or do not fit, or a horizon below 1."""
    if horizon < 1:
        raise InputError(f"horizon must be at least 1, got {horizon}")
    check_arrays(system)
    real_array("K", K)
    real_array("points", points.points)
    real_array("weights", points.weights)
    if K.shape != system.policy_shape:
        raise InputError(f"K must have shape {system.policy_shape}, got {K.shape}")
    if points.points.shape[-1] != system.n:
        raise InputError(
            f"points must have shape (S, {system.n}) for this system, got {points.points.shape}"
        )
    if points.weights.shape != points.points.shape[:1] or not points.weights.size:
        raise InputError(
            f"weights must have shape (S,) for points of shape {points.points.shape}, at least "
            f"one, got {points.weights.shape}"
        )
