"""How close the fine-tuned chain ends to the tilted law (`pift/terminal-law`).

The optimum of a chain of T steps, both variances, against two targets: the tilt p e^{r/β}/Z of the
chain's own pre-trained law of Y_T, and the tilt of the data law, which the chain's own error of
generation adds to. Then, without steps, in continuous time: what it costs that Y_0 stays N(0, I),
against ᾱ of the noisiest level. Gaussian data and a linear or quadratic reward make all of it exact
by moments; other data on a line are followed by their densities on a grid.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.ddpm.laws import Gaussian, standard_normal
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.pift import terminal
from fineq.pift.grid.checks import OUTSIDE, check_grid, check_memory, memory_bytes
from fineq.pift.grid.density import densities, mass_outside, pretrained
from fineq.pift.grid.solve import optimum
from fineq.pift.grid.tensor import Grid, law_bounds, make_grid
from fineq.pift.rewards import Quadratic
from fineq.pift.terminal import Terminal
from fineq.results import StudyResult, status_of
from fineq.studies.common import dims_of, named_arrays
from fineq.studies.pift.common import Study, coords_of, make_study
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.drawn import VARIANCES, Drawn, draw, over_steps, refuse_lost, schedule_at
from fineq.studies.pift.instances import Given
from fineq.studies.pift.terminal_views import (
    ABOUT,
    LAWS,
    density_figure,
    end_claims,
    end_figure,
    fits,
    step_claims,
    steps_figure,
)
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

SHOWN = 1e-3  # of the largest density: what is below it is not drawn


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Divergences against T for both variances, and against ᾱ_end."""
    study = make_study(config, given, stages)
    exact = _check(study)
    steps = Axis("schedule.num_steps", config.terminal.num_steps, static=True)
    axes = [Axis("schedule.variance", VARIANCES, static=True), *study.axes, steps]
    drawn = draw(study)
    grid = None if exact else _grid(study)
    found = _against_steps(study, drawn, grid, steps)
    refuse_lost(study, found.own)
    laws = fits(study, found, config.terminal.num_steps)
    arrays = named_arrays(found._asdict(), dims_of(axes), ABOUT)
    coords = coords_of(axes, config)
    claims, figures = step_claims(study, laws), [*steps_figure(study, laws)]
    if grid is None:
        ends = Axis("schedule.end", config.terminal.ends)
        kept = _against_ends(study, drawn, ends)
        arrays |= named_arrays(kept._asdict(), dims_of([*study.axes, ends]), ABOUT, prefix="kept_")
        coords |= coords_of([ends], config)
        orders = fits(study, kept, config.terminal.ends, kinds=())
        claims += end_claims(study, orders)
        figures += end_figure(study, orders)
    else:
        y, shown = _densities(study, drawn, grid)
        about = {name: f"density, {text}" for name, text in LAWS.items()}
        arrays |= named_arrays(shown, ("variance", "y"), about, prefix="density_")
        coords |= coords_of([], config, y=y)
        figures.append(density_figure(study))
    return StudyResult(
        arrays,
        coords,
        tuple(claims),
        tuple(law for by in laws for law in by.values()),
        tuple(figures),
        status_of(~np.isfinite(found.own)),
    )


def _check(study: Study) -> bool:
    """Whether everything is exact by moments; else data on a line are needed."""
    config = study.config
    if config.betas:
        raise InputError("terminal_law needs one beta, not betas: a schedule has no tilted law")
    first = study.instance({"seed": config.first_seed})
    exact = isinstance(first.law, Gaussian) and isinstance(first.problem.reward, Quadratic)
    if not exact and first.problem.d != 1:
        raise InputError(
            "terminal_law needs Gaussian data and a linear or quadratic reward, or data on a line, "
            f"got data.name={config.data.name}, reward.name={config.reward.name}, "
            f"d = {first.problem.d}"
        )
    return exact


def _grid(study: Study) -> Grid:
    """A grid for data on a line that covers every seed's laws, checked at the finest steps."""
    config = study.config
    seeds = next(axis for axis in study.axes if axis.name == "seed").values
    first, *others = (study.instance({"seed": seed}) for seed in seeds)
    bounds = [law_bounds(at.law, at.schedule) for at in (first, *others)]
    low, high = (f([b[i] for b in bounds], axis=0) for i, f in enumerate((np.min, np.max)))
    most = max(config.terminal.num_steps)
    check_memory(memory_bytes(1, config.terminal.num_points, most, batch=len(VARIANCES)))
    grid = make_grid(low, high, config.terminal.num_points)
    for kind in VARIANCES:
        at = {"schedule.num_steps": most, "schedule.variance": kind}
        drawn = Drawn(first.law, first.problem.reward, first.problem.betas[0])
        check_grid(drawn.problem(schedule_at(study, at)), grid)
    return grid


def _against_steps(study: Study, drawn: Drawn, grid: Grid | None, steps: Axis) -> Terminal:
    """Divergences `[variance, *axes, T]`."""
    if grid is not None:

        def on_line(drawn: Drawn, schedule: Schedule) -> tuple[Terminal, Array]:
            divergences, _, lost = _on_line(drawn, schedule, grid)
            return divergences, lost

        found, lost = over_steps(study, drawn, steps, on_line)
        if lost.max() > OUTSIDE:
            raise InputError(
                f"the controlled chain has mass {lost.max():.2g} outside the grid, at most "
                f"{OUTSIDE:g} is allowed: its reward pushes beyond where the data lie; raise beta"
            )
    else:

        def moments(drawn: Drawn, schedule: Schedule) -> Any:
            return terminal.chain_moments(drawn.problem(schedule))

        # What no number of steps changes the shape of is compiled once for all of them.
        inputs = {"drawn": drawn, "moments": over_steps(study, drawn, steps, moments)}
        found = study.stages.measure("divergences", _apart, study.axes, inputs)
    return jax.tree.map(lambda x: np.moveaxis(np.asarray(x), -1, 0), found)


def _apart(member: Member) -> Terminal:
    """Divergences `[T, variance]` of one member's moments of Y_T."""
    law, reward, beta = member["drawn"]

    def one(moments: tuple[terminal.Moments, terminal.Moments]) -> Terminal:
        found, before = moments
        return terminal.divergences(found, before, law, reward, beta)

    return jax.vmap(jax.vmap(one))(member["moments"])


def _against_ends(study: Study, drawn: Drawn, ends: Axis) -> Terminal:
    """Divergences in continuous time of processes that start at noise levels ᾱ, `[*axes, ᾱ]`."""

    def at(member: Member) -> Terminal:
        law, reward, beta = member["drawn"]
        start = standard_normal(law.d, law.mean.dtype)
        bars = jnp.asarray(ends.values, law.mean.dtype)
        return jax.vmap(lambda bar: terminal.of_process(law, reward, beta, bar, start))(bars)

    return study.stages.measure("ends", at, study.axes, {"drawn": drawn})


def _on_line(
    drawn: Drawn, schedule: Schedule, grid: Grid
) -> tuple[Terminal, dict[str, Array], Array]:
    """Divergences and densities of Y_T for data on a line, and the most mass off the grid."""
    problem, points = drawn.problem(schedule), grid.points()
    everywhere = jnp.ones((problem.num_steps + 1, grid.num), bool)
    controlled = densities(problem, grid, optimum(problem, grid, everywhere).mean)
    lost = jnp.max(mass_outside(grid, controlled))
    tuned, base = controlled[-1], densities(problem, grid, pretrained(problem, grid))[-1]
    gained = jax.vmap(drawn.reward)(points) / drawn.beta
    log_data = jax.vmap(drawn.law.log_density)(points)
    log_base = jnp.log(jnp.maximum(base, jnp.finfo(base.dtype).tiny))
    target = jnp.exp(log_data + gained - jnp.max(log_data + gained))

    def apart(density: Array, log_target: Array) -> Array:
        return terminal.grid_divergence(density, log_target, grid.cell)

    divergences = Terminal(
        apart(tuned, log_base + gained), apart(tuned, log_data + gained), apart(base, log_data)
    )
    target = target / (jnp.sum(target) * grid.cell)
    return divergences, {"pretrained": base, "optimal": tuned, "target": target}, lost


def _densities(study: Study, drawn: Drawn, grid: Grid) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Points, and densities of Y_T at the fewest steps `[variance, y]`, of the first member."""
    fewest = min(study.config.terminal.num_steps)
    first: Drawn = jax.tree.map(lambda x: jnp.asarray(x)[(0,) * len(study.axes)], drawn)
    at = {axis.name: axis.values[0] for axis in study.axes} | {"schedule.num_steps": fewest}
    found = [
        _on_line(first, schedule_at(study, {**at, "schedule.variance": kind}), grid)[1]
        for kind in VARIANCES
    ]
    laws = {name: np.stack([np.asarray(x[name]) for x in found]) for name in LAWS}
    high = np.max([np.max(p, axis=0) for p in laws.values()], axis=0)
    shown = np.flatnonzero(high > SHOWN * high.max())
    inside = slice(shown[0], shown[-1] + 1)
    return np.asarray(grid.axes[0])[inside], {k: p[:, inside] for k, p in laws.items()}
