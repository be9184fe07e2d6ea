"""What the study of parametrised controls says and draws."""

from typing import NamedTuple

import numpy as np

from fineq.claims import Claim, Theory
from fineq.claims.counting import last_of, lost_words, over_seeds, still_falling, unless_holds
from fineq.figures import Figure, Fit, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.pift.certificates import ENOUGH, Gap
from fineq.rates import PowerLaw, pooled_interval, power_law
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.studies.pift.claims import claim
from fineq.studies.pift.config import PiftConfig

NEAR = 2.0  # a class is reached when the error is at most so many times its best
ROUNDING = 1e-12  # of relative errors, below which nothing is compared
ERROR = "relative control error"


class Found(NamedTuple):
    """What the study measured.

    Attributes:
        errors: of the classes, `[class, seed, sweep]`.
        best: of each class, `[class, seed]`.
        trained: errors of the network by method, `[seed, sweep]`.
        bounds: what is left to gain at most, by name of the final control, leaves `[seed]`.
        floors: errors of affine controls, `[target, num_paths, seed]`, or None.
    """

    errors: np.ndarray
    best: np.ndarray
    trained: dict[str, np.ndarray]
    bounds: dict[str, Gap]
    floors: np.ndarray | None


def arrays(found: Found) -> Arrays:
    """Everything by name."""
    seeds = ("class", "seed")
    trained = np.stack(list(found.trained.values()))
    named = {
        "error": Named(found.errors, (*seeds, "sweep"), "1", ERROR),
        "best": Named(found.best, seeds, "1", "relative error of the best of the class"),
        "network_error": Named(trained, ("network", "seed", "network_sweep"), "1", ERROR),
    }
    texts = {"value": "bound on what is left to gain", "low": "its lower end", "high": "upper end"}
    for name, text in texts.items():
        values = np.stack([getattr(bound, name) for bound in found.bounds.values()])
        named[f"gap_{name}"] = Named(values, ("policy", "seed"), "1", text)
    if found.floors is not None:
        named["floor"] = Named(found.floors, ("target", "num_paths", "seed"), "1", ERROR)
    return named


def laws(config: PiftConfig, found: Found) -> dict[str, PowerLaw]:
    """The statistical error of affine controls as a power of the number of paths."""
    batches = np.array(config.parametric.batches, float)
    if found.floors is None or len(batches) < 2:
        return {}
    quantity = "error of affine controls in N, raw targets"
    return {"raw": power_law(batches, found.floors[0].T, quantity=quantity)}


def claims(config: PiftConfig, found: Found, fitted: dict[str, PowerLaw]) -> list[Claim]:
    """Each class beside its best, networks, certificates, and the statistical error."""
    p = config.parametric
    data = f"{config.data.name} data, β = {config.beta:g}, T = {config.schedule.num_steps}"
    made = [_reached(config, found, i, data) for i in range(len(p.classes))]
    for name, errors in found.trained.items():
        made.append(
            claim(
                "pift/parametric",
                over_seeds(last_of(errors)),
                instance=f"{name}, {p.depth} layers of {p.width}, {data}, {p.network_sweeps} "
                f"sweeps, {lost_words(errors)}",
                what="relative control error of a network after training",
            )
        )
    made += [certified(name, bound, data) for name, bound in found.bounds.items()]
    made += [
        claim(
            "pift/parametric",
            law,
            Theory(-1.0, "~", "variance of a mean of N", margin=0.15),
            instance=f"affine, {data}, {found.best.shape[-1]} seeds",
            what="exponent in N of the squared error with raw targets",
        )
        for law in fitted.values()
    ]
    return made


def _reached(config: PiftConfig, found: Found, i: int, data: str) -> Claim:
    p, ends, best = config.parametric, last_of(found.errors[i]), found.best[i]
    within = np.median(best) < ROUNDING  # the class holds the optimum
    measured = over_seeds(ends if within else ends / best)
    theory = None if within else Theory(NEAR, "<=", "the best of the class, times 2")
    falling = still_falling(found.errors[i], "more of parametric.num_sweeps")
    return claim(
        "pift/parametric",
        measured,
        theory,
        instance=f"{p.classes[i]}, {data}, N = {p.num_paths}, {lost_words(found.errors[i])}",
        what="relative control error after the last sweep; the class holds the optimum"
        if within
        else "control error after the last sweep, over that of the best of the class",
        undecided=unless_holds(measured, theory, falling),
    )


def certified(name: str, bound: Gap, data: str) -> Claim:
    """β log E e^{r/β} less J of a control, a mean over the seeds' problems.

    The interval is that of the simulation; the problems are what they are.
    """
    value, high = np.asarray(bound.value), np.asarray(bound.high)
    kept = np.isfinite(value) & np.isfinite(high)
    effective = float(np.min(np.asarray(bound.effective)[kept], initial=np.inf))
    return claim(
        "pift/certificate",
        pooled_interval(value[kept], (high - value)[kept]),
        Theory(0.0, ">=", "β log E e^{r/β} - J(u) >= 0") if effective >= ENOUGH else None,
        instance=f"{name}, {data}, mean of {int(kept.sum())} of {kept.size} seeds, 95% of the "
        f"simulation, {effective:.0f} effective paths or more",
        what="what the fitted control may still gain at most, β log E e^{r/β} - J(u)",
        decides="more of parametric.certificate_paths narrow it",
    )


def figures(config: PiftConfig, found: Found, fitted: dict[str, PowerLaw]) -> tuple[Figure, ...]:
    """Errors along the sweeps, and the statistical error."""
    p = config.parametric
    lines = tuple(Line("error", name, {"class": name}) for name in p.classes)
    levels = tuple(
        Drawn("best of the class" if i == 0 else "", level=float(np.median(best)), line=i)
        for i, best in enumerate(found.best)
        if np.median(best) > ROUNDING
    )
    networks = tuple(Line("network_error", name, {"network": name}) for name in found.trained)
    title = f"Network, {p.depth} layers of {p.width}"
    panels = [
        Panel("convergence", "sweep", lines, levels, title="Linear features", xlabel="sweep"),
        Panel("convergence", "network_sweep", networks, title=title, xlabel="sweep"),
    ]
    if fitted:
        law = fitted["raw"]
        drawn = (Line("floor", "raw", {"target": "raw"}, fit=Fit(law.value, law.low, law.high)),)
        theory = (Drawn("∝ 1/N", exponent=-1.0, line=0),)
        title = "Affine controls after the last sweep"
        panels.append(Panel("powerlaw", "num_paths", drawn, theory, title=title, xlabel="paths N"))
    return (
        Figure(
            "parametric",
            tuple(panels),
            "Control error of parametrised PI-FT against the exact optimum, over that of the "
            "pre-trained policy.",
        ),
    )
