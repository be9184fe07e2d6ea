"""Which inner step policy iteration takes towards the best mean."""

from typing import Literal, get_args

from fineq.errors import InputError

Rule = Literal["plain", "damped", "newton"]
"""`plain`: the paper's, a gradient step of length 1/β. `damped`: the fraction 1/(1 + ρ) of it, ρ
the largest curvature over β. `newton`: Newton's step."""


def check_rule(rule: str) -> None:
    """Raise `InputError` for an unknown rule."""
    if rule not in get_args(Rule):
        raise InputError(f"inner rule must be one of {', '.join(get_args(Rule))}, got {rule}")


def check_inner(num_inner: int, rule: str) -> None:
    """Raise `InputError` for no inner iterations or an unknown rule."""
    if num_inner < 1:
        raise InputError(f"num_inner must be at least 1, got {num_inner}")
    check_rule(rule)
