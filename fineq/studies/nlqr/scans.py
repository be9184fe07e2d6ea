"""What sample_complexity scans, T, J and r, and what it finds: grids, numbers, fitted exponents."""

from typing import NamedTuple

import numpy as np

from fineq import rates
from fineq.errors import InputError
from fineq.nlqr.gradient_bias import GradientBias
from fineq.settings.fields import flatten, replace_at, sweep_axes
from fineq.studies.common import Slice
from fineq.studies.nlqr.common import Optimum
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.noise import Case, Noise
from fineq.studies.view import View

NAMES = {"one_point": "one-point", "two_point": "pairs"}
RADIUS, ROLLOUTS = "estimator.radius", "estimator.num_rollouts"
# Below this share of the largest radius one-point noise takes every descent away at once.
ONE_POINT_SHARE = 0.5
SMALL = 0.5  # share of the largest radius up to which the limit r -> 0 is fitted


class Grid(NamedTuple):
    """Radii r and numbers of rollouts J that are scanned, each with the other held fixed."""

    radii: list[float]
    counts: list[int]
    num_rollouts: int

    def fixed_radius(self, name: str) -> float:
        """The radius at which J is scanned: where the estimator is at its best."""
        return self.radii[-1] if name == "one_point" else self.radii[0]

    def radii_of(self, name: str, descends: bool) -> list[float]:
        """The radii scanned."""
        least = ONE_POINT_SHARE * self.radii[-1] if descends and name == "one_point" else 0.0
        wide = [r for r in self.radii if r >= least]
        return wide if len(wide) > 1 else self.radii[-2:]

    def cases(self, name: str) -> list[Case]:
        """Everything to measure with one estimator, each once."""
        fixed = self.fixed_radius(name)
        found = []
        for descends in (False, True):
            found += [Case(descends, J, fixed) for J in self.counts]
            found += [Case(descends, self.num_rollouts, r) for r in self.radii_of(name, descends)]
        return list(dict.fromkeys(found))


class Scan(NamedTuple):
    """One estimator's numbers over a scanned value, `[value, *axes]`, NaN where not measured.

    Attributes:
        noise: standard deviation of the estimate at the probe over the size of the gradient.
        floor: relative suboptimality of the descent; NaN also where it diverged.
        expected: η σ²/(4 C*) with the deviation σ seen along the descent.
    """

    noise: np.ndarray
    floor: np.ndarray
    expected: np.ndarray


class Scanned(NamedTuple):
    """Everything measured; noise and scans by estimator."""

    grid: Grid
    bias: GradientBias
    noise: dict[str, Noise]
    over_radius: dict[str, Scan]
    over_count: dict[str, Scan]


def make_grid(config: NlqrConfig) -> tuple[NlqrConfig, Grid]:
    """The scanned values, those of a user's sweep first, and the configuration without them.

    Raises:
        InputError: for a sweep as `fineq.settings.fields.sweep_axes`; for fewer than two values;
            for an odd J, of which antithetic pairs cannot be made.
    """
    given = sweep_axes(config, config.sweep)
    radii = sorted(given[RADIUS][0] if RADIUS in given else config.floors.radii)
    counts = sorted(given[ROLLOUTS][0] if ROLLOUTS in given else config.floors.num_rollouts)
    for name, values in (("radii", radii), ("num_rollouts", counts)):
        if len(set(values)) < 2:
            raise InputError(f"floors.{name} must hold at least two values here, got {values}")
    odd = [J for J in (*counts, config.estimator.num_rollouts) if J % 2]
    if odd:
        raise InputError(f"num_rollouts must be even, for antithetic pairs, got {odd[0]}")
    rest = {k: v for k, v in flatten(config.sweep).items() if k not in (RADIUS, ROLLOUTS)}
    own = replace_at(config, {"sweep": rest})
    return own, Grid(radii, counts, config.estimator.num_rollouts)


def make_scans(
    grid: Grid, name: str, noise: Noise, seen: GradientBias, star: Optimum, step_size: float
) -> tuple[Scan, Scan]:
    """The estimator's numbers over the radii, and over the numbers of rollouts."""
    place = {case: i for i, case in enumerate(grid.cases(name))}
    relative = noise.deviation / seen.size
    expected = step_size / np.asarray(star.h) * noise.deviation**2 / (4 * np.asarray(star.cost))

    def pick(values: np.ndarray, case: Case) -> np.ndarray:
        return values[place[case]] if case in place else np.full(values.shape[1:], np.nan)

    def scan(pairs: list[tuple[int, float]]) -> Scan:
        return Scan(
            np.stack([pick(relative, Case(False, *pair)) for pair in pairs]),
            np.stack([pick(noise.floor, Case(True, *pair)) for pair in pairs]),
            np.stack([pick(expected, Case(True, *pair)) for pair in pairs]),
        )

    fixed = grid.fixed_radius(name)
    return scan([(grid.num_rollouts, r) for r in grid.radii]), scan(
        [(J, fixed) for J in grid.counts]
    )


def fits_of(view: View) -> dict[str, rates.Rate | rates.PowerLaw]:
    """As `fit_all`, once for claims and figures."""
    if ("truncation", view.piece.index) not in view.laws:
        fits = fit_all(view.found.more, view.piece)
        view.laws.update({(name, view.piece.index): fit for name, fit in fits.items()})
    return {name: fit for (name, index), fit in view.laws.items() if index == view.piece.index}


def fit_all(found: Scanned, piece: Slice) -> dict[str, rates.Rate | rates.PowerLaw]:
    """Every fitted rate and power law of one combination of swept values, by name.

    The floor of pairs has none in r: it is flat and then rises.
    """
    radii, about = np.array(found.grid.radii), f", {piece.label}" if piece.label else ""
    truncated = np.asarray(found.bias.gradient_truncated)[piece.index][:, :-1]
    smoothed = np.asarray(found.bias.smoothed)[piece.index]
    lengths = np.arange(1, truncated.shape[-1] + 1)
    fits: dict[str, rates.Rate | rates.PowerLaw] = {
        "truncation": rates.linear_rate(lengths, truncated, quantity=f"truncation{about}"),
        "smoothing": rates.power_law(radii, smoothed, quantity=f"smoothing bias in r{about}"),
    }
    for name, text in NAMES.items():
        for what in ("noise", "floor"):
            quantity = f"{what} of {text} in {{}}{about}"
            by_count = _of_piece(found.over_count[name], what, piece)
            fits[f"{what}_{name}_count"] = rates.power_law(
                np.array(found.grid.counts, float), by_count, quantity=quantity.format("J")
            )
            if (what, name) != ("floor", "two_point"):
                by_radius = _of_piece(found.over_radius[name], what, piece)
                fits[f"{what}_{name}_radius"] = rates.power_law(
                    radii,
                    by_radius,
                    valid=np.broadcast_to(_fitted(radii, name), by_radius.shape),
                    quantity=quantity.format("r"),
                )
    return fits


def _of_piece(scan: Scan, what: str, piece: Slice) -> np.ndarray:
    """One quantity of a scan, `[seed, value]`."""
    return np.moveaxis(getattr(scan, what), 0, -1)[piece.index]


def _fitted(radii: np.ndarray, name: str) -> np.ndarray:
    """Which radii a power law is fitted on: for pairs, those near the limit r -> 0."""
    small = radii <= SMALL * radii[-1]
    return small if name == "two_point" and small.sum() > 1 else np.full(radii.shape, True)
