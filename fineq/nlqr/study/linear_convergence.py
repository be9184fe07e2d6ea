"""How fast gradient descent reaches K*, and to which floor (`nlqr/linear-convergence`).

With the exact gradient and η <= 2/(μ+h), |K - K*| contracts at 1 - ημ near K* and the cost gap at
its square: what is compared are exponents, -log(ratio). Zeroth-order gradients follow the same line
down to a floor that their noise sets; natural gradients need no step size that knows h.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.iterate import every
from fineq.nlqr.claims import claim
from fineq.nlqr.config import NlqrConfig
from fineq.nlqr.study.arrays import Slice, coords_of, dims_of, named_arrays, slices
from fineq.nlqr.study.common import Optimum, Study, exact_horizon, make_study, optimum
from fineq.nlqr.study.descents import Method, descend
from fineq.nlqr.study.gradients import exact, natural, zeroth_order
from fineq.nlqr.study.instances import Given, Instance
from fineq.rates import Interval, Rate, linear_rate, median_interval, proportion
from fineq.results import Arrays, StudyResult, status_of
from fineq.sweep import SweepResult
from fineq.sweep.stages import Stages

REACHED = 1e-10  # relative suboptimality that exact descent is asked to reach
STOP = 1e-14  # relative gap at which exact descent stops: rounding of the cost
NUM_RECORDS = 200
MARGIN = 0.1  # the exponent is a limit, seen through the decades above rounding
ABOUT = {"gap": "relative suboptimality (C − C*)/C*", "distance": "|K − K*|"}

Runs = dict[str, SweepResult]


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend by exact, natural and zeroth-order gradients to the optimum of the same instances."""
    sweeps = {"system.lipschitz": [0.3, 1.0]}
    study = make_study(config, given, stages, sweeps, stable_only=True)
    horizon = exact_horizon(study)
    star = optimum(study, horizon)
    runs = {name: descend(study, name, m, star) for name, m in methods(config, horizon).items()}
    exponent = -np.log1p(-config.descent.step_size * star.mu / star.h)
    rates = {name: _rates(study, result) for name, result in runs.items()}
    return StudyResult(
        _arrays(study, star, runs, exponent),
        coords_of(study.axes, config, **{f"{k}_iteration": r.iterations for k, r in runs.items()}),
        tuple(_claims(study, runs, rates, exponent)),
        tuple(rate for by_slice in rates.values() for pair in by_slice for rate in pair.values()),
        _figures(study, exponent),
        status_of(np.all([result.diverged for result in runs.values()], axis=0)),
        {"seeds": f"{study.dropped} of {config.seeds} seeds left out: K_lin does not stabilise"},
    )


def methods(config: NlqrConfig, horizon: int) -> dict[str, Method]:
    """The descents compared; all take η = `descent.step_size` / h but the natural one."""
    steps = config.descent.num_steps
    few = max(steps // 10, 1)

    def over_h(at: NlqrConfig, star: Optimum, instance: Instance) -> Array:
        del instance
        return at.descent.step_size / star.h

    def record(num_steps: int) -> np.ndarray:
        return every(num_steps, max(num_steps // NUM_RECORDS, 1))

    J, T = config.estimator.num_rollouts, config.descent.horizon
    return {
        "exact": Method(exact(horizon), horizon, steps, record(steps), over_h, gap=STOP),
        "natural": Method(natural(horizon), horizon, 60, record(60), natural_step, gap=STOP),
        "two_point": Method(zeroth_order("two_point", J, T), horizon, few, record(few), over_h),
        "one_point": Method(zeroth_order("one_point", J, T), horizon, few, record(few), over_h),
    }


def natural_step(at: NlqrConfig, star: Optimum, instance: Instance) -> Array:
    """1/(2 |R + B'PB|): at ℓ = 0 the largest step for which the natural gradient is monotone."""
    del at, star
    system = instance.problem.system
    return 0.5 / jnp.linalg.norm(system.R + system.B.T @ instance.P @ system.B, 2)


def _rates(study: Study, result: SweepResult) -> list[dict[str, Rate]]:
    return [
        {
            name: linear_rate(
                result.iterations,
                result.metrics[name][piece.index],
                valid=result.valid[piece.index],
                diverged=result.diverged[piece.index],
                quantity=f"{text} ({piece.label})",
            )
            for name, text in ABOUT.items()
        }
        for piece in slices(study.axes)
    ]


def _relative(rate: Rate, exponent: np.ndarray) -> np.ndarray:
    """Measured over theoretical exponent of the seeds whose rate is linear."""
    slopes = np.array([fit.slope for fit in rate.per_seed])
    linear = np.array([fit.verdict == "linear" for fit in rate.per_seed])
    return (-slopes / exponent)[linear & np.isfinite(slopes)]


def _claims(
    study: Study, runs: Runs, rates: dict[str, list[dict[str, Rate]]], exponent: np.ndarray
) -> list[Claim]:
    found = []
    for number, piece in enumerate(slices(study.axes)):
        theory, measured = exponent[piece.index], rates["exact"][number]
        found += _exact_claims(runs["exact"], piece, measured, theory)
    return found


def _exact_claims(
    result: SweepResult, piece: Slice, measured: dict[str, Rate], exponent: np.ndarray
) -> list[Claim]:
    reached = result.metrics["gap"][piece.index][:, -1] <= REACHED
    where = f"exact gradient, {piece.label}, {reached.size} seeds"
    rate = "-log(1 - ημ)"

    def about(what: str, number: Interval, theory: Theory) -> Claim:
        return claim("nlqr/linear-convergence", number, theory, instance=where, what=what)

    return [
        about(
            f"Exact descent reaches relative suboptimality {REACHED:g} (share of seeds)",
            proportion(int(reached.sum()), reached.size, method="exact"),
            Theory(1.0, "~", "all seeds", margin=1 - 0.025 ** (1 / reached.size)),
        ),
        about(
            "|K - K*| decays at exponent -log(1 - ημ) near K* (measured over theory)",
            median_interval(_relative(measured["distance"], exponent)),
            Theory(1.0, "~", rate, margin=MARGIN),
        ),
        about(
            "The cost gap decays at twice that exponent (measured over theory)",
            median_interval(_relative(measured["gap"], 2 * exponent)),
            Theory(1.0, "~", f"2 · {rate}", margin=MARGIN),
        ),
        about(
            "The cost gap decays at least at exponent -log(1 - ημ) (measured over theory)",
            median_interval(_relative(measured["gap"], exponent)),
            Theory(1.0, ">=", rate),
        ),
    ]


def _arrays(study: Study, star: Optimum, runs: Runs, exponent: np.ndarray) -> Arrays:
    dims = dims_of(study.axes)
    arrays = named_arrays(
        {**star._asdict(), "exponent": exponent},
        dims,
        {
            "cost": "cost of K*",
            "mu": "smallest Hessian eigenvalue μ at K*",
            "h": "largest Hessian eigenvalue h at K*",
            "exponent": "theory's exponent −log(1 − ημ) [1/iteration]",
        },
    )
    for name, result in runs.items():
        last = (f"{name}_iteration",)
        arrays |= named_arrays(result.metrics, dims, ABOUT, prefix=f"{name}_", last=last)
    return arrays


def _figures(study: Study, exponent: np.ndarray) -> tuple[Figure, ...]:
    pieces = slices(study.axes)

    def panel(method: str, name: str, title: str, power: int | None) -> Panel:
        drawn = (
            tuple(
                Drawn(
                    "theory" if i == 0 else "",
                    ratio=float(np.exp(-power * np.median(exponent[p.index]))),
                    line=i,
                )
                for i, p in enumerate(pieces)
            )
            if power
            else ()
        )
        lines = tuple(Line(f"{method}_{name}", p.label, p.at) for p in pieces)
        return Panel("convergence", f"{method}_iteration", lines, drawn, title=title, ordered=True)

    return (
        Figure(
            "linear_convergence",
            (
                panel("exact", "distance", "Exact gradient, η = 1/h", 1),
                panel("exact", "gap", "Exact gradient, η = 1/h", 2),
            ),
            "Exact gradient descent against the theory's rate at K*.",
        ),
        Figure(
            "estimators",
            (
                panel("natural", "gap", "Natural gradient", None),
                panel("two_point", "gap", "Antithetic pairs", None),
                panel("one_point", "gap", "One-point estimates", None),
            ),
            "Other gradients on the same instances.",
        ),
    )
