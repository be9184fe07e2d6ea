"""μ, h, the ball of strong convexity and K_lin's distance from K*, against ℓ (`nlqr/landscape`).

Everything at K* is exact to rounding. What is said of balls around K_lin is sampled: bad points
that were found bound the worst ones from one side. The theorem's constants stand beside them.
"""

from typing import Any

import numpy as np

from fineq.nlqr.minimise import DECREMENT
from fineq.studies.common import dims_of, named_arrays
from fineq.studies.nlqr import common, landscape_tables
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.curvature_search import Probed, probe
from fineq.studies.nlqr.instances import Given
from fineq.studies.nlqr.theorem_inputs import Facts, facts_of
from fineq.studies.recipe import Found, Quantity, Recipe
from fineq.sweep.stages import Stages

ABOUT = {
    "mu": "smallest Hessian eigenvalue μ at K*",
    "h": "largest Hessian eigenvalue h at K*",
    "condition": "condition number h/μ at K*",
    "sigma_x": "σ_x = λ_min(E ψψ′)",
    "sigma_x_over_l2": "σ_x/ℓ²",
    "sigma": "σ = λ_min(R + B′QB)",
    "lower_bound": "the paper's lower bound σ_x σ on μ",
    "tightness": "μ over its lower bound σ_x σ",
    "distance": "|K_lin − K*|",
    "K1_part": "distance of K_lin from K* in K1",
    "K2_part": "distance of K_lin from K* in K2",
    "joint_part": "distance of K_lin from K* in K1 + ℓ K2",
    "gap": "relative suboptimality of K_lin",
    "c1_lin": "c1 of the loop A − B K1_lin",
    "rho1_lin": "ρ1 of the loop A − B K1_lin",
    "c1": "c1 of the loop A − B K1*",
    "rho1": "ρ1 of the loop A − B K1*",
    "off_lipschitz": "log10 of ℓ over the largest ℓ the theorem allows",
    "off_gradient": "log10 of ℓ′ over the largest ℓ′ the theorem allows",
    "off_delta": "log10 of 3 |K_lin − K*| over the theorem's δ",
    "off_h": "log10 of the theorem's bound on h over h",
}
# What rests on the instance and K_lin alone, and is known where K* is not.
WITHOUT_OPTIMUM = (
    *("sigma_x", "sigma_x_over_l2", "sigma", "lower_bound", "c1_lin", "rho1_lin"),
    *("off_lipschitz", "off_gradient"),
)


def bind(config: NlqrConfig, given: Given, stages: Stages) -> common.Study:
    """A study along ℓ, where it is swept."""
    study = common.make_study(config, given, stages, stable_only=True, random=False)
    return study._replace(
        own=tuple(axis for axis in study.axes if axis.name == landscape_tables.LIPSCHITZ),
        axes=[axis for axis in study.axes if axis.name != landscape_tables.LIPSCHITZ],
    )


def measure(study: common.Study) -> Found:
    """Find K*, measure curvature and distances there, search balls around K_lin."""
    whole = study._replace(axes=common.in_order(study), own=())
    place = [axis.name for axis in whole.axes].index(landscape_tables.LIPSCHITZ) if study.own else 0

    def first(values: Any) -> np.ndarray:
        return np.moveaxis(np.asarray(values), place, 0)

    horizon = common.exact_horizon(whole)
    star = common.optimum(whole, horizon)
    facts = facts_of(whole, star)
    flat = _flat(star, facts.sigma_x)
    probed = probe(whole, star, horizon)
    axes = [probed.axes[place], *probed.axes[:place], *probed.axes[place + 1 :]]
    found = Probed(axes, {name: first(values) for name, values in probed.values.items()})
    multiples = np.asarray(study.config.landscape.multiples, float)
    known = star._replace(K=np.where(np.asarray(star.converged)[..., None, None], star.K, np.nan))
    values = {**measured(star, facts), **common.policies(whole, known)}
    return Found(
        {name: first(x) for name, x in values.items()},
        study.own,
        {"multiple": multiples, "instance": list(probed.axes[-1].values)},
        first(~np.asarray(star.converged) & ~flat),
        {"seeds": common.dropped_note(whole), "minimum": _flat_note(flat)},
        arrays=named_arrays(found.values, dims_of(found.axes), OF_BALLS, last=("multiple",)),
        more=found,
    )


def _flat(star: common.Optimum, sigma_x: np.ndarray) -> np.ndarray:
    """Where the cost is least on a whole plane, `[*axes]`: some gains act on nothing (φ = 0)."""
    rounding = 64 * np.finfo(sigma_x.dtype).eps
    ended = np.asarray(star.decrement) <= DECREMENT
    return ended & ~np.asarray(star.converged) & (np.abs(sigma_x) <= rounding)


def _flat_note(flat: np.ndarray) -> str:
    if not flat.any():
        return ""
    return (
        f"in {int(flat.sum())} of {flat.size} members K* is not isolated: σ_x = λ_min(E ψψ′) is 0, "
        "as with kernel=zero, so some gains have no effect and nothing is measured at one K*"
    )


def measured(star: common.Optimum, facts: Facts) -> dict[str, np.ndarray]:
    """Every array of `ABOUT`, `[*axes]`; NaN where K* was not found and the array rests on it."""
    K, K_lin = np.asarray(star.K), facts.plants.K_lin
    n = facts.plants.A.shape[-1]
    apart = K_lin - K
    mu, h, constants = np.asarray(star.mu), np.asarray(star.h), facts.constants
    distance = _size(apart)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "mu": mu,
            "h": h,
            "condition": h / mu,
            "sigma_x": facts.sigma_x,
            "sigma_x_over_l2": facts.sigma_x / facts.scale**2,
            "sigma": facts.sigma,
            "lower_bound": constants.strong_convexity,
            "tightness": mu / constants.strong_convexity,
            "distance": distance,
            "K1_part": _size(apart[..., :n]),
            "K2_part": _size(apart[..., n:]),
            "joint_part": _joint(apart, n, facts.scale),
            "gap": facts.cost_lin / np.asarray(star.cost) - 1,
            "c1_lin": facts.c1_lin,
            "rho1_lin": facts.rho1_lin,
            "c1": facts.c1,
            "rho1": facts.rho1,
            "off_lipschitz": np.log10(facts.lipschitz / constants.lipschitz),
            "off_gradient": np.log10(facts.gradient_lipschitz / constants.gradient_lipschitz),
            "off_delta": np.log10(3 * distance / constants.delta),
            "off_h": np.log10(constants.smoothness / h),
        }
    return {
        name: x if name in WITHOUT_OPTIMUM else np.where(star.converged, x, np.nan)
        for name, x in found.items()
    }


def _size(M: np.ndarray) -> np.ndarray:
    return np.linalg.norm(M, axis=(-2, -1))


def _joint(apart: np.ndarray, n: int, scale: np.ndarray) -> np.ndarray:
    """|ΔK1 + ℓ ΔK2|: the gain on a small state, where φ(x) ≈ ℓ x; NaN unless d = n."""
    if apart.shape[-1] != 2 * n:
        return np.full(apart.shape[:-2], np.nan)
    return _size(apart[..., :n] + scale[..., None, None] * apart[..., n:])


OF_BALLS = {
    "mu_found": "smallest μ found within the ball",
    "h_found": "largest h found within the ball",
    "mu_share": "smallest μ found within the ball, over μ at K*, while convex",
    "h_share": "largest h found within the ball, over h at K*, while convex",
    "convexity_radius": "radius at which convexity was found lost [|K* − K_lin|]",
}

run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=lambda study, piece: piece.label.replace("radius", "|x0|"),
    quantities=(
        *(Quantity(name, words) for name, words in ABOUT.items()),
        *(quantity._replace(own=None) for quantity in common.POLICIES),
    ),
    claims=(landscape_tables.theorem_claims, *landscape_tables.ORDER_ROWS),
    figures=landscape_tables.FIGURES,
    rates=landscape_tables.fitted,
)
