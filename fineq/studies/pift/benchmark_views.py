"""What the study of the standard problems says and draws."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.claims.counting import last_of, lost_words, over_seeds, still_falling, unless_holds
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.rates import mean_interval
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.studies.pift.claims import claim
from fineq.studies.pift.standard_cases import Case
from fineq.sweep.stages import Stages

ID = "pift/standard-problems"
GOALS = (1e-2, 1e-3)
ABOUT = {
    "to_exact": "control L2 error to the exact optimum",
    "to_usual": "control L2 error to the usual optimum",
    "value": "mean return",
}


class Fitted(Protocol):
    """What one parametrisation reached: see `fineq.studies.pift.benchmark_problems.Fitted`."""

    @property
    def metrics(self) -> Mapping[str, np.ndarray]:
        """By name, `[problem, seed, sweep]`."""
        ...

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall clock of one sweep of one seed, by problem."""
        ...


def arrays(cases: dict[str, Case], affine: Fitted, trained: Fitted) -> Arrays:
    """The errors of both parametrisations, and what they compare with."""
    named = {
        name: Named(affine.metrics[name], ("problem", "seed", "sweep"), "1", text)
        for name, text in ABOUT.items()
    }
    named |= {
        f"network_{name}": Named(
            trained.metrics[name], ("problem", "seed", "network_sweep"), "1", text
        )
        for name, text in ABOUT.items()
    }
    gaps = [case.gap.mean() for case in cases.values()]
    named["gap"] = Named(gaps, ("problem",), "1", "error of the usual optimum")
    sizes = [case.size for case in cases.values()]
    named["size"] = Named(sizes, ("problem",), "1", "error of changing nothing")
    return named


def usual(case: Case) -> Claim:
    """The error of the usual optimum itself, with the interval of a mean over paths."""
    return claim(
        ID,
        mean_interval(np.asarray(case.gap)),
        instance=f"{case.standard.name}, {case.standard.problem.num_steps} steps, {case.gap.size} "
        "paths",
        what=f"error of the usual optimum, of ∫|u*|² = {case.size:.3g}",
    )


def claims(cases: dict[str, Case], found: Fitted, who: str, exact: bool = False) -> list[Claim]:
    """Errors to both optima after the last sweep, and sweeps to the goals that all seeds reach.

    Args:
        cases: the problems.
        found: the errors.
        who: the parametrisation.
        exact: whether its class holds the optimum, so that it should pass the usual one.
    """
    made = []
    for i, case in enumerate(cases.values()):
        errors = found.metrics["to_exact"][i]
        instance = f"{case.standard.name}, {who}, {lost_words(errors)}"
        after = f"after {errors.shape[1] - 1} sweeps"
        theory = Theory(float(case.gap.mean()), "<=", "the error of the usual optimum")
        last = over_seeds(last_of(errors))
        made.append(
            claim(
                ID,
                last,
                theory if exact else None,
                instance=instance,
                what=f"control L2 error to the exact optimum {after}",
                undecided=unless_holds(
                    last, theory, still_falling(errors, "more of benchmark.num_sweeps")
                ),
            )
        )
        if not exact:
            made.append(
                claim(
                    ID,
                    over_seeds(last_of(found.metrics["to_usual"][i])),
                    instance=instance,
                    what=f"control L2 error to the usual optimum {after}",
                )
            )
        made += _to_goals(errors, instance)
    return made


def _to_goals(errors: np.ndarray, instance: str) -> list[Claim]:
    return [
        claim(
            ID,
            over_seeds(np.argmax(errors <= goal, axis=1)),
            instance=instance,
            what=f"sweeps to a control L2 error of {goal:g}",
        )
        for goal in GOALS
        if (errors <= goal).any(axis=1).all()
    ]


def times(trained: Fitted, stages: Stages) -> str:
    """Seconds of the networks in this process, compilation apart."""
    each = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in trained.seconds.items())
    compiled = sum(c.compile_seconds for name, c in stages.costs.items() if "network" in name)
    return f"a sweep of one network: {each}; compiled in {compiled:.0f} s"


def well_claims(case: Case, metrics: Mapping[str, np.ndarray], ratio: float) -> list[Claim]:
    """What limits PI-FT on the double well, and what it reaches."""
    problem, errors = case.standard.problem, metrics["to_exact"]
    instance = f"{case.standard.name}, functions of one coordinate each, {lost_words(errors)}"
    made = [
        claim(
            ID,
            Measured.exact(ratio),
            Theory(1.0, "<=", "PI-FT contracts"),
            instance=f"{case.standard.name}, {problem.num_steps} steps",
            what="max_t ρ_t at the exact optimum, on its paths",
            sampled=True,
        )
    ]
    made += [
        claim(
            ID,
            over_seeds(last_of(metrics[name])),
            instance=instance,
            what=f"{ABOUT[name]} after {errors.shape[1] - 1} sweeps, of {case.size:.3g}",
        )
        for name in ("to_exact", "to_usual")
    ]
    return made


def _panel(title: str, prefix: str, x: str, at: dict[str, str], level: float) -> Panel:
    lines = tuple(
        Line(prefix + variable, label, at)
        for variable, label in (("to_exact", "exact"), ("to_usual", "usual"))
    )
    return Panel(
        "convergence",
        x,
        lines,
        (Drawn("between the two", level=level),),
        title=title,
        xlabel="sweep",
        ylabel="control L2 error to the optimum",
    )


def figure(name: str, cases: dict[str, Case], prefix: str, x: str, caption: str) -> Figure:
    """Errors to both optima along the sweeps, one panel for each problem."""
    panels = [
        _panel(case.standard.name, prefix, x, {"problem": key}, float(case.gap.mean()))
        for key, case in cases.items()
    ]
    return Figure(f"benchmark_{name}", tuple(panels), caption)


def well_figure(case: Case) -> Figure:
    """The double well."""
    panel = _panel(case.standard.name, "well_", "well_sweep", {}, float(case.gap.mean()))
    return Figure(
        "benchmark_well", (panel,), "Error of functions of one coordinate each on the double well."
    )
