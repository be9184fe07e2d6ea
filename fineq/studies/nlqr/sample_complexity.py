"""How gradient error and final accuracy depend on T, J and r (`nlqr/sample-complexity`).

At one policy, at a stated distance from K_lin in a random direction: the bias of truncation against
T and of smoothing against r, both computed without randomness, and the noise of one-point and
two-point estimates against J and r. At the minimum: the floor, the relative suboptimality that
noise of that size keeps a descent at. To second order it is η σ²/4 for noise of variance σ²;
one-point estimates have σ of order D C/(r √J), antithetic pairs one that does not depend on small
r. All costs but those of the truncation panel are T-step costs.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.claims import Theory
from fineq.keys import key_for
from fineq.nlqr.gradient_bias import GradientBias, gradient_bias
from fineq.nlqr.policies import random_policy
from fineq.rates import PowerLaw, Rate
from fineq.studies.nlqr import common, instances, scans
from fineq.studies.nlqr.complexity_figures import FIGURES
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.descent_tables import named
from fineq.studies.nlqr.noise import Case, measure_noise
from fineq.studies.recipe import Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Got, Median
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

CLAIM = "nlqr/sample-complexity"
RISING = 1.1  # of the gap between quarters of a descent: what is left to rise is then of its size
OVER = {
    "noise": r"noise of the gradient / $|\nabla C|$",
    "floor": "floor of $(C - C^*)/C^*$",
    "expected": r"floor expected, $\eta\sigma^2/(4 C^*)$",
}


def bind(config: NlqrConfig, given: instances.Given, stages: Stages) -> common.Study:
    """A study along smoothing radii r and numbers of rollouts J.

    Raises:
        InputError: as `fineq.studies.nlqr.scans.make_grid`.
    """
    config, grid = scans.make_grid(config)
    study = common.make_study(config, given, stages, stable_only=True)
    own = (Axis("smoothing", grid.radii), Axis("rollouts", grid.counts))
    return study._replace(own=own, alike=False)


def measure(study: common.Study) -> Found:
    """Measure biases, noise and floors on the same instances."""
    config = study.config
    radii, counts = (list(axis.values) for axis in study.own)
    grid = scans.Grid(radii, counts, config.estimator.num_rollouts)
    star = common.optimum(study, config.descent.horizon)
    bias = _bias(study, grid, common.exact_horizon(study))
    steps = {
        name: getattr(config.floors, "step_size" if name == "two_point" else f"{name}_step_size")
        for name in scans.NAMES
    }
    noise = {
        name: measure_noise(
            study, name, grid.cases(name), np.asarray(bias.policy), star, steps[name]
        )
        for name in scans.NAMES
    }
    both = {
        name: scans.make_scans(grid, name, noise[name], bias, star, steps[name])
        for name in scans.NAMES
    }
    over_radius, over_count = ({name: both[name][i] for name in scans.NAMES} for i in range(2))
    found = scans.Scanned(grid, bias, noise, over_radius, over_count)
    values = {
        **_biases(bias),
        **_scanned(found),
        **common.policies(study, star),
        "probe": bias.policy,
    }
    coords = {
        "length": np.arange(1, bias.cost_truncated.shape[-1]),
        "iteration": noise["one_point"].iterations,
    }
    descends = [
        noise[name].diverged[[case.descends for case in grid.cases(name)]] for name in scans.NAMES
    ]
    notes = {"seeds": common.dropped_note(study), **_notes(study, found, steps)}
    return Found(values, study.own, coords, np.concatenate(descends), notes, more=found)


def probe_policy(instance: instances.Instance, distance: ArrayLike) -> Array:
    """The policy looked at: K_lin plus a random matrix of Frobenius norm `distance`."""
    key = key_for(instance.key, "a policy to look at")
    return instance.K_lin + random_policy(key, instance.problem.system, distance)


def _bias(study: common.Study, grid: scans.Grid, longest: int) -> GradientBias:
    radii = jnp.asarray(grid.radii, study.config.precision)

    def look(member: Member) -> GradientBias:
        at, instance = instances.at_member(study.config, member), study.instance(member)
        K = probe_policy(instance, at.probe.distance)
        return gradient_bias(instance.problem, K, at.descent.horizon, longest, radii)

    return study.stages.measure("probe", look, study.axes)


def _biases(bias: GradientBias) -> dict[str, Any]:
    # What is below the rounding unit is rounding.
    cost, gradient = (
        np.maximum(values[..., :-1], np.finfo(np.asarray(values).dtype).eps)
        for values in (bias.cost_truncated, bias.gradient_truncated)
    )
    return {
        "cost_truncated": cost,
        "gradient_truncated": gradient,
        "smoothed": bias.smoothed,
        "gradient_size": bias.size,
        "spectral_radius": bias.radius,
    }


def _scanned(found: scans.Scanned) -> dict[str, Any]:
    values = {}
    for name in scans.NAMES:
        for what in OVER:
            values[f"{what}_{name}_smoothing"] = getattr(found.over_radius[name], what)
            values[f"{what}_{name}_rollouts"] = getattr(found.over_count[name], what)
        shown = Case(True, found.grid.num_rollouts, found.grid.fixed_radius(name))
        place = found.grid.cases(name).index(shown)
        values[f"gap_{name}"] = found.noise[name].gap[place]
        values[f"diverged_{name}"] = found.noise[name].diverged[place]
    return values


def _notes(study: common.Study, found: scans.Scanned, steps: dict[str, float]) -> dict[str, str]:
    """The floors in numbers, which depend on the step size, and where the gradient was measured."""
    grid, J = found.grid, found.grid.num_rollouts
    levels = {
        name: np.nanmedian(found.over_radius[name].floor[0 if name == "two_point" else -1])
        for name in scans.NAMES
    }
    floors = "; ".join(
        f"{text}, r = {grid.fixed_radius(name):g}, η = {steps[name]:g}/h: {levels[name]:.2g}"
        for name, text in scans.NAMES.items()
    )
    return {
        "probe": f"gradients are measured at distance {study.config.probe.distance:g} from K_lin",
        "floors": f"median floor from J = {J}: {floors}",
    }


def _law(name: str) -> Callable[[View], Got]:
    """A fitted rate or power law, by its name in `fits_of`."""

    def found(view: View) -> Got:
        law: PowerLaw | Rate = scans.fits_of(view)[name]
        return Got(law, law.seeds_used)

    return found


def _decay(view: View) -> np.ndarray:
    fits = scans.fits_of(view)["truncation"].per_seed  # type: ignore[union-attr]
    linear = [fit.slope if fit.verdict == "linear" else np.nan for fit in fits]
    return -np.array(linear) / (-2 * np.log(view("spectral_radius")))


def _pairs_over_limit(view: View) -> np.ndarray:
    """The relative noise of pairs over that of `D (∇C(x0)·U) U` from J/2 of them, r → 0."""
    bias, J = view.found.more.bias, view.found.more.grid.num_rollouts
    D = np.prod(bias.gradient.shape[-2:])
    ratio = D * (bias.rms_gradient / bias.size) ** 2 - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return view("noise_two_point_smoothing")[0] / np.sqrt(2 / J * ratio)[view.piece.index]


def _combined(view: View) -> np.ndarray:
    fits = scans.fits_of(view)
    a, b = (fits[f"floor_one_point_{x}"].seed_slopes for x in ("count", "radius"))  # type: ignore[union-attr]
    return a / (1 - b / 2)


def _level(view: View) -> np.ndarray:
    floor, expected = (view(f"{what}_two_point_smoothing")[0] for what in ("floor", "expected"))
    # A floor that was measured and is not known is that of a descent that diverged.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.isnan(floor), np.inf, floor / expected)


def _unsettled(view: View) -> str:
    """Why the level of the floor of pairs cannot be judged yet; empty where it is settled.

    Descents start at K*, so that the gap rises to its floor: the last quarter against the one
    before, median over seeds.
    """
    gap, steps = view("gap_two_point"), view.study.config.floors.num_steps
    share = view.values_of("iteration") / steps
    parts = (share > 0.5) & (share <= 0.75), (share > 0.75) & (share <= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = (np.mean(gap[..., part], axis=-1) for part in parts)
        rise = np.nan_to_num(after / before, nan=np.inf)
    if np.median(rise) <= RISING:
        return ""
    return (
        f"the gap still rises, by {np.median(rise) - 1:.0%} between the last two quarters of "
        f"{steps} steps: a larger floors.num_steps decides"
    )


def _row(
    what: str | Callable[[View], str],
    statistic: Callable[[View], Got],
    theory: Theory | None = None,
    premature: Callable[[View], str] = lambda view: "",
) -> Row:
    who = "that have this number"
    return Row(CLAIM, what, statistic, theory, who=who, premature=premature)


def _least(view: View) -> str:
    return f"r = {view.values_of('smoothing')[0]:g}"


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=named,
    quantities=(
        Quantity("cost_truncated", "$(C - C_T)/C$", ("length",), ()),
        Quantity(
            "gradient_truncated",
            r"$|\nabla C - \nabla C_T| / |\nabla C|$",
            ("length",),
            (),
        ),
        Quantity("smoothed", r"$|\nabla C_r - \nabla C| / |\nabla C|$", ("smoothing",), ()),
        Quantity("gradient_size", r"size of the gradient $|\nabla C|$", own=()),
        Quantity("spectral_radius", "spectral radius of the closed loop", own=()),
        *(
            Quantity(f"{what}_{name}_{dim}", text, own=(dim,))
            for name in scans.NAMES
            for dim in ("smoothing", "rollouts")
            for what, text in OVER.items()
        ),
        *(
            Quantity(f"gap_{name}", "relative suboptimality $(C - C^*)/C^*$", ("iteration",), ())
            for name in scans.NAMES
        ),
        *(Quantity(f"diverged_{name}", "descent diverged", own=()) for name in scans.NAMES),
        *common.POLICIES,
        Quantity("probe", "policy at which the gradient is measured", common.GAINS, ()),
    ),
    claims=(
        _row(
            "decay exponent in T of the truncated gradient's error, over theory's",
            Median(_decay),
            Theory(1.0, "~", "-2 log ρ", margin=0.1),
        ),
        _row(
            "exponent in r of the smoothing bias",
            _law("smoothing"),
            Theory(2.0, "~", "r²", margin=0.1),
        ),
        _row(
            "exponent in r of the noise, one-point",
            _law("noise_one_point_radius"),
            Theory(-1.0, "~", "D C/(r √J)", margin=0.1),
        ),
        _row(
            lambda view: (
                f"one-point noise over the gradient, r = {view.values_of('smoothing')[-1]:g}, "
                f"J = {view.found.more.grid.num_rollouts}"
            ),
            Median(lambda view: view("noise_one_point_smoothing")[-1]),
        ),
        _row(
            lambda view: f"noise of pairs, {_least(view)}, over its limit r → 0",
            Median(_pairs_over_limit),
            Theory(1.0, "~", "√(2 (D E|∇C(x0)|² - |∇C|²)/J)", margin=0.05),
        ),
        _row(
            "exponent in J of the floor, pairs",
            _law("floor_two_point_count"),
            Theory(-1.0, "~", "η σ²/4", margin=0.2, note="the paper asks for -1/2 or faster"),
        ),
        _row(
            "exponent in J of the one-point floor ε with r of order √ε",
            Median(_combined),
            Theory(-0.5, "<=", "J of order 1/ε²", margin=0.05),
        ),
        _row(
            lambda view: f"floor of pairs over its second-order prediction, {_least(view)}",
            Median(_level),
            Theory(1.0, "~", "η σ²/4", margin=0.3),
            _unsettled,
        ),
    ),
    figures=FIGURES,
)
