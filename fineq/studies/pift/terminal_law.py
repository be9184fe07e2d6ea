"""How close the fine-tuned chain ends to the tilted law (`pift/terminal-law`).

The optimum of a chain of T steps, both variances, against two targets: the tilt p e^{r/β}/Z of the
chain's own pre-trained law of Y_T, and the tilt of the data law, which the chain's own error of
generation adds to. Then, without steps, in continuous time: what it costs that Y_0 stays N(0, I),
against ᾱ of the noisiest level. Gaussian data and a linear or quadratic reward make all of it exact
by moments; other data on a line are followed by their densities on a grid.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.ddpm.laws import Gaussian, standard_normal
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.pift import terminal
from fineq.pift.grid import checks, tensor
from fineq.pift.grid.ending import Ending, ending
from fineq.pift.rewards import Quadratic
from fineq.rates import PowerLaw, power_law
from fineq.results import Arrays
from fineq.studies import common, statistics
from fineq.studies.pift.common import NAMES, Study, make_study
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.drawn import (
    VARIANCES,
    VARYING,
    Problems,
    draw,
    over_steps,
    refuse_lost,
    schedule_at,
)
from fineq.studies.pift.instances import Given
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep.stages import Member, Stages

Kept = dict[str, np.ndarray]  # divergences of processes that start at noise levels ᾱ
SHOWN = 1e-3  # of the largest density: what is below it is not drawn
MARGIN = 0.1  # on an exponent seen over a finite range
LEAST = 3  # points of a fitted order
ABOUT = {
    "own": "KL to the tilt of the chain's own law",
    "data": "KL to the tilt of the data law",
    "pretrained": "KL of the pre-trained law to the data",
}
TARGETS = ("own", "data")
LAWS = {"pretrained": "pre-trained", "optimal": "fine-tuned", "target": "tilt of the data law"}
ORDERS = {name: statistics.Exponent(name, "num_steps", MARGIN, "larger T") for name in TARGETS}
COSTS = {
    name: statistics.Exponent(f"kept_{name}", "end", MARGIN, "smaller terminal.ends")
    for name in TARGETS
}


def bind(config: PiftConfig, given: Given, stages: Stages) -> Study:
    """Either everything is exact by moments, or data lie on a line."""
    study = make_study(config, given, stages)._replace(own=(VARYING,))
    if config.betas:
        raise InputError("terminal_law needs one beta, not betas: a schedule has no tilted law")
    problem = study.instance({"seed": config.first_seed}).problem
    if not _exact(study) and problem.d != 1:
        raise InputError(
            "terminal_law needs Gaussian data and a linear or quadratic reward, or data on a line, "
            f"got data.name={config.data.name}, reward.name={config.reward.name}, d = {problem.d}"
        )
    return study


def _exact(study: Study) -> bool:
    first = study.instance({"seed": study.config.first_seed})
    return isinstance(first.law, Gaussian) and isinstance(first.problem.reward, Quadratic)


def measure(study: Study) -> Found:
    """Divergences against T for both variances, and against ᾱ_end or densities."""
    drawn, config = draw(study), study.config.terminal
    found, kept, shown = (_by_moments if _exact(study) else _on_line)(study, drawn)
    values = {name: np.moveaxis(np.asarray(x), -1, 0) for name, x in found._asdict().items()}
    refuse_lost(study, values["own"])
    return Found(
        {**values, **kept},
        study.own,
        {"num_steps": config.num_steps, **({"end": config.ends} if kept else {})},
        arrays=shown,
    )


def _by_moments(study: Study, drawn: Problems) -> tuple[terminal.Terminal, Kept, Arrays]:
    """Divergences `[*axes, T, variance]`, and in continuous time `[*axes, ᾱ]`."""

    def moments(drawn: Problems, schedule: Schedule) -> Any:
        return terminal.chain_moments(drawn.problem(schedule))

    def apart(member: Member) -> terminal.Terminal:
        law, reward, beta = member["drawn"]

        def one(moments: tuple[terminal.Moments, terminal.Moments]) -> terminal.Terminal:
            return terminal.divergences(*moments, law, reward, beta)

        return jax.vmap(jax.vmap(one))(member["moments"])

    def at_ends(member: Member) -> terminal.Terminal:
        law, reward, beta = member["drawn"]
        start = standard_normal(law.d, law.mean.dtype)
        bars = jnp.asarray(study.config.terminal.ends, law.mean.dtype)
        return jax.vmap(lambda bar: terminal.of_process(law, reward, beta, bar, start))(bars)

    # What no number of steps changes the shape of is compiled once for all of them.
    steps = over_steps(study, drawn, study.config.terminal.num_steps, moments)
    inputs = {"drawn": drawn, "moments": steps}
    found = study.stages.measure("divergences", apart, study.axes, inputs)
    kept = study.stages.measure("ends", at_ends, study.axes, {"drawn": drawn})
    return found, {f"kept_{name}": x for name, x in kept._asdict().items()}, {}


def _on_line(study: Study, drawn: Problems) -> tuple[terminal.Terminal, Kept, Arrays]:
    """Divergences `[*axes, T, variance]`, and densities of Y_T at the fewest steps."""
    grid, config = _grid(study), study.config.terminal

    def end(drawn: Problems, schedule: Schedule) -> Ending:
        return ending(drawn.problem(schedule), drawn.law, grid)

    def apart(drawn: Problems, schedule: Schedule) -> tuple[terminal.Terminal, jax.Array]:
        found = end(drawn, schedule)
        return found.apart, found.lost

    found, lost = over_steps(study, drawn, config.num_steps, apart)
    if lost.max() > checks.OUTSIDE:
        raise InputError(
            f"the controlled chain has mass {lost.max():.2g} outside the grid, at most "
            f"{checks.OUTSIDE:g} is allowed: its reward pushes beyond where the data lie; raise "
            "beta"
        )
    first: Problems = jax.tree.map(lambda x: jnp.asarray(x)[(0,) * len(study.axes)], drawn)
    at = {axis.name: axis.values[0] for axis in study.axes}
    at["schedule.num_steps"] = min(config.num_steps)
    ends = [end(first, schedule_at(study, {**at, VARYING.name: kind})) for kind in VARIANCES]
    return found, {}, _densities(np.asarray(grid.axes[0]), ends)


def _grid(study: Study) -> tensor.Grid:
    """A grid for data on a line that covers every member's laws, checked at the finest steps."""
    config = study.config.terminal
    names, values = [a.name for a in study.axes], product(*(a.values for a in study.axes))
    members = [dict(zip(names, at, strict=True)) for at in values]
    instances = [study.instance(member) for member in members]
    bounds = [tensor.law_bounds(at.law, at.schedule) for at in instances]
    low, high = (f([b[i] for b in bounds], axis=0) for i, f in enumerate((np.min, np.max)))
    most = max(config.num_steps)
    checks.check_memory(checks.memory_bytes(1, config.num_points, most, batch=len(VARIANCES)))
    grid = tensor.make_grid(low, high, config.num_points)
    for member, at in zip(members, instances, strict=True):
        if member["seed"] == study.config.first_seed:
            drawn = Problems(at.law, at.problem.reward, at.problem.betas[0])
            for kind in VARIANCES:
                finest = {**member, "schedule.num_steps": most, VARYING.name: kind}
                checks.check_grid(drawn.problem(schedule_at(study, finest)), grid)
    return grid


def _densities(y: np.ndarray, found: Sequence[Ending]) -> Arrays:
    """Densities `[variance, y]` where there is something to see."""
    laws = {name: np.stack([np.asarray(getattr(x, name)) for x in found]) for name in LAWS}
    high = np.max([np.max(p, axis=0) for p in laws.values()], axis=0)
    shown = np.flatnonzero(high > SHOWN * high.max())
    inside = slice(shown[0], shown[-1] + 1)
    named = {
        f"density_{name}": common.Named(
            p[:, inside], ("variance", "y"), "1", f"density, {LAWS[name]}"
        )
        for name, p in laws.items()
    }
    return {**named, "y": common.Named(y[inside], ("y",), "1", "y")}


def _single(view: View) -> bool:
    """Of one instance there is no scatter, but a bend: exponents are extrapolated to T = ∞."""
    return len(common.seeds_of(view.study.axes)) == 1


def _order(name: str) -> Callable[[View], statistics.Got]:
    exponent = ORDERS[name]
    return lambda view: statistics.Extrapolated(exponent)(view) if _single(view) else exponent(view)


def _range(view: View) -> str:
    steps = view.values_of("num_steps")
    return f"extrapolated from T = {steps[-3]:g} to {steps[-1]:g}" if _single(view) else ""


def _logarithmic(view: View) -> PowerLaw:
    """What (log T/T)² shows over these T."""
    T = np.asarray(view.values_of("num_steps"), float)
    return power_law(T, (np.log(T) / T) ** 2)


def _theory(view: View) -> Theory:
    if view.at["variance"] == "forward":
        return Theory(-2.0, "~", "T^-2", margin=MARGIN)
    shown = _logarithmic(view)
    value = shown.extrapolated if _single(view) else shown.slope
    return Theory(value, "<=", "(log T/T)² over the same T", margin=MARGIN)


def _against_steps(view: View, name: str, title: str) -> figures.Panel:
    fit = None if _single(view) else ORDERS[name]
    words = NAMES.values["variance"]
    slow = figures.Theory(r"slope of $(\log T/T)^2$", exponent=_logarithmic(view).slope, line=1)
    return view.panel(
        "powerlaw",
        "num_steps",
        [view.line(name, words[kind], fit=fit, variance=kind) for kind in VARIANCES],
        figures.Theory(r"slope of $T^{-2}$", exponent=-2.0, line=0),
        slow,
        title=title,
        ylabel="KL divergence of the law of $Y_T$",
    )


def _against_ends(view: View) -> list[figures.Panel]:
    if "kept_own" not in view.found.values:
        return []
    texts = {"own": "own law's tilt", "data": "data law's tilt"}
    return [
        view.panel(
            "powerlaw",
            "end",
            [view.line(f"kept_{name}", texts[name], fit=COSTS[name]) for name in TARGETS],
            figures.Theory(r"slope of $\bar\alpha^2$", exponent=2.0, line=0),
            title="Cost of keeping $Y_0$ ~ N(0, I)",
            xlabel=r"$\bar\alpha$ of the noisiest level",
            ylabel="KL divergence of the law of $Y_T$",
        )
    ]


def _density_figure(views: Sequence[View]) -> list[figures.Figure]:
    """The laws of Y_T at the fewest steps, one panel per variance, at the first swept values."""
    first = views[0]
    if not first.found.arrays:
        return []

    def panel(view: View) -> figures.Panel:
        lines = tuple(view.line(f"density_{name}", text) for name, text in LAWS.items())
        title = f"{min(view.values_of('num_steps'))} steps, {view.word('variance')}"
        return figures.Panel("curves", "y", lines, over=(), title=title, ylabel="density")

    panels = tuple(panel(first.chosen(variance=kind)) for kind in VARIANCES)
    caption = "Y_T before and after fine-tuning, and its target."
    return [
        figures.Figure("densities", panels, caption, common.first_alone([v.piece for v in views]))
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=NAMES,
    quantities=(
        *(Quantity(name, text, ("num_steps",)) for name, text in ABOUT.items()),
        *(Quantity(f"kept_{name}", text, ("end",), own=()) for name, text in ABOUT.items()),
    ),
    claims=(
        *(
            Row(
                "pift/terminal-law",
                f"exponent in T of the {ABOUT[name]}, {{variance}}",
                _order(name),
                _theory,
                each=("variance",),
                where=_range,
                when=lambda view: len(view.values_of("num_steps")) >= LEAST,
            )
            for name in TARGETS
        ),
        *(
            Row(
                "pift/terminal-law",
                f"exponent in ᾱ_end of the {ABOUT[name]}, continuous time, Y₀ ~ N(0, I)",
                COSTS[name],
                Theory(2.0, "~", "ᾱ_end²", margin=MARGIN),
                when=lambda view: len(view.found.coords.get("end", ())) >= LEAST,
            )
            for name in TARGETS
        ),
    ),
    figures=(
        Draw(
            "terminal_law",
            lambda view: [
                _against_steps(view, "own", "Tilt of the chain's own law"),
                _against_steps(view, "data", "Tilt of the data law"),
            ],
            "How far from its target the optimal chain ends.",
        ),
        Draw(
            "start",
            _against_ends,
            "Continuous time: no step size, only the start is wrong.",
        ),
        _density_figure,
    ),
)
