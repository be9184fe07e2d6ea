"""A control problem from what a user has, checked, with points and a horizon that fit."""

from fineq.errors import InputError
from fineq.limits import MOST_QUADRATURE
from fineq.nlqr.checks import check_law, check_system
from fineq.nlqr.costs import choose_horizon
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.features import is_odd
from fineq.nlqr.laws import Points, Sphere, quadrature
from fineq.nlqr.policies import linear_policy
from fineq.nlqr.problem import InitialLaw, Problem, System

SLACK = 2  # policies on the way to K* may decay more slowly than K_lin


def build_problem(
    system: System,
    law: InitialLaw | None = None,
    *,
    points: Points | None = None,
    horizon: int | None = None,
    degree: int = 20,
    tolerance: float = 1e-12,
    max_horizon: int = 2**16,
) -> Problem:
    """Build one checked `Problem`.

    Args:
        system: of `fineq.nlqr.build_system`, or any other.
        law: of the initial state; default uniform on the unit sphere.
        points: weighted points that stand for the law in exact expectations; default a quadrature
            rule, which there is up to n = 3. For more: `fineq.nlqr.drawn_points(law, key, num)`.
        horizon: T; default twice what K_lin needs to leave out at most `tolerance` of its cost.
        degree: of the polynomials for which the default points are exact.
        tolerance: of the default horizon.
        max_horizon: what K_lin is looked at, and the longest default horizon.

    Returns:
        The problem, whose cost is `E Σ_{t < T} x'Qx + u'Ru` over the points.

    Raises:
        InputError: where system, law or points are not in order, where there is no default rule,
            or where K_lin does not stabilise and no horizon is given.
    """
    check_system(system)
    law = check_law(Sphere(1.0, system.n) if law is None else law, system.n)
    points = _default_points(system, law, degree) if points is None else points
    check_law(points, system.n)
    points = Points(*(x.astype(system.A.dtype) for x in (points.points, points.weights)))
    if horizon is None:
        longest = _longest(system, points, tolerance, max_horizon)
        horizon = min(SLACK * longest, max_horizon)
    if horizon < 1:
        raise InputError(f"horizon must be at least 1, got {horizon}")
    return Problem(system, law, points, horizon)


def _default_points(system: System, law: InitialLaw, degree: int) -> Points:
    if system.n > MOST_QUADRATURE and not isinstance(law, Points):
        raise InputError(
            f"no quadrature rule is known for n = {system.n} > {MOST_QUADRATURE}: give points, "
            "for example fineq.nlqr.drawn_points(law, jax.random.key(0), 256)"
        )
    # With an odd φ the rollout from -x mirrors that from x: half of a symmetric rule does.
    return quadrature(law, degree, half=is_odd(system.phi))


def _longest(system: System, points: Points, tolerance: float, max_horizon: int) -> int:
    linear = linear_policy(system)
    status = EquationStatus(int(linear.status))
    if status > EquationStatus.INACCURATE:
        raise InputError(
            f"the system has no K_lin, its Riccati equation is not solved "
            f"({status.message}): give a horizon"
        )
    try:
        return choose_horizon(
            linear.K, system, points, tolerance=tolerance, max_horizon=max_horizon
        )
    except InputError as error:
        raise InputError(f"K_lin says no horizon, give one: {error}") from error
