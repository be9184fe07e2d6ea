"""A search of balls around K_lin for bad curvature, for a few seeds (`nlqr/landscape`)."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fineq.keys import key_for
from fineq.nlqr import landscape
from fineq.nlqr.objective import expected_cost
from fineq.studies.nlqr.common import Optimum, Study
from fineq.sweep import Axis
from fineq.sweep.stages import Member


class Probed(NamedTuple):
    """What was found around K_lin.

    Attributes:
        axes: the study's, with the probed seeds under a name of their own.
        values: name to array `[*axes]` or `[*axes, multiple]`; NaN where K* was not found.
    """

    axes: list[Axis]
    values: dict[str, np.ndarray]


class _Found(NamedTuple):
    ball: landscape.Curvature
    radius: Any


def probe(study: Study, star: Optimum, horizon: int) -> Probed:
    """Look at the balls `|K - K_lin| <= m |K* - K_lin|` for the multiples m configured.

    Hessians by the hundred: only for `landscape.num_seeds` seeds and, where ℓ is swept, for
    `landscape.num_values` of its values; elsewhere the arrays hold NaN.
    """
    about = study.config.landscape
    chosen = [_chosen(axis, study) for axis in study.axes]
    axes = [
        dataclasses.replace(axis, values=tuple(axis.values[i] for i in indices))
        for axis, indices in zip(study.axes, chosen, strict=True)
    ]
    few = {
        name: np.asarray(getattr(star, name))[np.ix_(*chosen)]
        for name in ("K", "mu", "h", "converged")
    }
    multiples = jnp.asarray(about.multiples, dtype=study.config.precision)

    def look(member: Member) -> _Found:
        instance = study.instance(member)
        unit = jnp.linalg.norm(member["K"] - instance.K_lin)
        profile = landscape.curvature_profile(
            expected_cost,
            key_for(instance.key, "a search for curvature"),
            instance.K_lin,
            unit * multiples,
            instance.at_horizon(horizon),
            num_chains=about.num_chains,
            num_steps=about.num_looks,
        )
        return _Found(
            landscape.over_balls(profile), landscape.convexity_radius(multiples, profile.mu)
        )

    found = study.stages.measure("probe", look, axes, inputs={"K": few["K"]})
    renamed = dataclasses.replace(axes[-1], name="instance")
    whole = [*study.axes[:-1], renamed]
    places = np.ix_(*chosen[:-1], range(len(renamed)))
    values = {
        name: _spread(value, [len(axis) for axis in whole], places)
        for name, value in _values(found, few).items()
    }
    return Probed(whole, values)


def _chosen(axis: Axis, study: Study) -> list[int]:
    """Indices into the axis: the first seeds, and values of ℓ from one end to the other."""
    about = study.config.landscape
    if axis.name == "seed":
        return list(range(min(about.num_seeds, len(axis))))
    if axis.name != "system.lipschitz" or len(axis) <= about.num_values:
        return list(range(len(axis)))
    return sorted({round(i) for i in np.linspace(len(axis) - 1, 0, about.num_values)})


def _values(found: _Found, few: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    ball, known = found.ball, few["converged"][..., None]
    convex = known & (np.asarray(ball.mu) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mu_share, h_share = ball.mu / few["mu"][..., None], ball.h / few["h"][..., None]
    return {
        "mu_found": np.where(known, ball.mu, np.nan),
        "h_found": np.where(known, ball.h, np.nan),
        "mu_share": np.where(convex, mu_share, np.nan),
        "h_share": np.where(convex, h_share, np.nan),
        "convexity_radius": np.where(few["converged"], found.radius, np.nan),
    }


def _spread(values: np.ndarray, sizes: list[int], places: tuple[np.ndarray, ...]) -> np.ndarray:
    """The values at their places in a NaN array `[*sizes, ...]`."""
    whole = np.full((*sizes, *values.shape[len(sizes) :]), np.nan)
    whole[places] = values
    return whole
