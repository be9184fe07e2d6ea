"""A study as a recipe: how it measures, and three tables that say what of it is kept and shown.

    run = Recipe(
        bind=make_study,
        measure=measure,
        words=named_instance,
        quantities=(Quantity("gap", "distance of network and kernel"),),
        claims=(Row("ntk/coupling", Exponent("gap", "width", ...), Theory(...), "exponent in m"),),
        figures=(Draw("coupling", panels, "Network and kernel descent."),),
    )

The recipe is itself the study, `run(config, given, stages) -> StudyResult`: it owns the
combinations of swept values and their labels, the seeds that are left out, statuses and notes, and
refuses claims and figures of quantities that do not exist.

A study takes its words from here: `Draw`, `Found`, `Quantity`, `Recipe`, `Row`, `View`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any

import numpy as np

from fineq.claims import REGISTRY, Claim, HasInterval, Measured, Theory, claim
from fineq.claims.counting import seeds_words, unless_holds
from fineq.claims.verdict import MORE_SEEDS
from fineq.figures import Figure, Panel
from fineq.rates import PowerLaw, Rate
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import (
    Named,
    Names,
    Study,
    dims_of,
    listed,
    seeds_of,
    small_multiples,
)
from fineq.studies.found import Found, Quantity
from fineq.studies.statistics import Got
from fineq.studies.view import View
from fineq.sweep.stages import Stages


@dataclass(frozen=True)
class Row:
    """One row of the table of claims; one claim for every combination of swept values.

    Attributes:
        id: of a registered claim.
        what: what is measured, or a function of the view to that; `{axis}` stands for the value
            along a dimension of `each`, in words.
        statistic: from a view to the number, see `fineq.studies.statistics`.
        theory: what is allowed, or a function of the view to that; None: measured alone.
        each: dimensions of own axes, or trailing ones: a claim for every value.
        where: more words of the instance, or a function of the view to them.
        who: which seeds the number is of, where not all; default: those that did not diverge,
            where these are as many.
        unit: of the number.
        sampled: a claim about all x of which some were tried.
        when: whether the row has something to say at a view.
        undecided: why numbers that do not hold say nothing; default: what the statistic says.
        premature: why no number says anything yet, not even one that holds.
        chance: there is chance in the number, though all seeds have the same problem.
        decides: what narrows the interval.
    """

    id: str
    what: str | Callable[[View], str]
    statistic: Callable[[View], Got]
    theory: Theory | Callable[[View], Theory | None] | None = None
    each: tuple[str, ...] = ()
    where: str | Callable[[View], str] = ""
    who: str = ""
    unit: str = "1"
    sampled: bool = False
    when: Callable[[View], bool] = lambda view: True
    undecided: Callable[[View, Got], str] = lambda view, got: got.why
    premature: Callable[[View], str] = lambda view: ""
    chance: bool = False
    decides: Callable[[View], str] = lambda view: MORE_SEEDS


@dataclass(frozen=True)
class Draw:
    """One row of the table of figures: small multiples over the combinations of swept values.

    Attributes:
        name: of the figure.
        panels: from a view to the panels of its combination.
        caption: what is shown.
        more: panels that show no single combination, from all views.
        claims: ids of those that it shows; default: all of the study's.
    """

    name: str
    panels: Callable[[View], Sequence[Panel]]
    caption: str = ""
    more: Callable[[Sequence[View]], Sequence[Panel]] = lambda views: ()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A study; calling it runs it.

    Attributes:
        bind: `(config, given, stages) -> Study`, which checks what the study needs.
        measure: `Study -> Found`.
        names: how the area writes its fields.
        words: of a combination: `(study, piece) -> str`, as claims name their instance; default
            its label.
        quantities: what is kept, of what was measured.
        claims: rows, or functions of all views to claims for what no row can say.
        figures: rows, or functions of all views to figures.
        rates: of a view, what is fitted for no claim and no figure.
        when: whether rows have something to say of a combination, for example a seed is left.
    """

    bind: Callable[[Any, Any, Stages], Study]
    measure: Callable[[Any], Found]
    names: Names
    words: Callable[[Any, Any], str] = lambda study, piece: piece.label
    quantities: tuple[Quantity, ...]
    claims: tuple[Row | Callable[[Sequence[View]], Iterable[Claim]], ...] = ()
    figures: tuple[Draw | Callable[[Sequence[View]], Iterable[Figure]], ...] = ()
    rates: Callable[[View], Iterable[Rate | PowerLaw]] = lambda view: ()
    when: Callable[[View], bool] = lambda view: True

    def __call__(self, config: Any, given: Any, stages: Stages) -> StudyResult:
        """Run the study.

        Raises:
            InputError: for a configuration that `bind` refuses.
            ValueError: for a claim or figure of a quantity that is not in the table.
        """
        study = self.bind(config, given, stages)
        found = self.measure(study)
        laws: dict[Any, Any] = {}
        known = {quantity.name: quantity for quantity in self.quantities}
        pieces = self.names.slices(study.axes)
        views = [View(study, found, known, piece, {}, laws, self.names) for piece in pieces]
        arrays = self._arrays(study, found)
        figures = tuple(
            figure
            for draw in self.figures
            for figure in (drawn(draw, views) if isinstance(draw, Draw) else draw(views))
        )
        claims = tuple(self._claims(views))
        coords = self._coords(study, found)
        _check_lines(figures, {*arrays, *coords})
        lost = np.zeros(1, bool) if found.lost is None else found.lost
        return StudyResult(
            arrays,
            coords,
            claims,
            (*laws.values(), *(rate for view in views for rate in self.rates(view))),
            figures,
            found.status or status_of(lost),
            dict(found.notes),
            found.files,
        )

    def _arrays(self, study: Study, found: Found) -> Arrays:
        arrays = {name: x for name, x in found.arrays.items() if x.dims != (name,)}
        for quantity in self.quantities:
            if quantity.name not in found.values:
                continue
            values = np.asarray(found.values[quantity.name])
            members = [axis for axis in study.axes if quantity.seeds or axis.name != "seed"]
            dims = (*dims_of(found.axes_of(quantity)), *dims_of(members), *quantity.dims)
            arrays[quantity.name] = Named(values, dims, quantity.unit, quantity.text)
        return arrays

    def _coords(self, study: Study, found: Found) -> Arrays:
        named = {dim: x for dim, x in found.arrays.items() if x.dims == (dim,)}
        named |= {dim: x for dim, x in found.coords.items() if isinstance(x, Named)}
        plain = {dim: x for dim, x in found.coords.items() if dim not in named}
        return self.names.coords_of([*found.axes, *study.axes], study.config, **plain) | named

    def _claims(self, views: Sequence[View]) -> Iterable[Claim]:
        for tabled, entries in groupby(self.claims, lambda entry: isinstance(entry, Row)):
            rows = [entry for entry in entries if isinstance(entry, Row)] if tabled else []
            for view, row in product(filter(self.when, views), rows):
                yield from self._of_row(row, view)
            if not tabled:
                for function in entries:
                    yield from function(views)  # type: ignore[operator]

    def _of_row(self, row: Row, view: View) -> Iterable[Claim]:
        for values in product(*(view.values_of(dim) for dim in row.each)):
            at = view.chosen(**dict(zip(row.each, values, strict=True)))
            if row.when(at):
                yield self._claim(row, at)

    def _claim(self, row: Row, view: View) -> Claim:
        if row.chance:
            view = replace(view, study=view.study._replace(alike=False))
        got = row.statistic(view)
        theory = row.theory(view) if callable(row.theory) else row.theory
        where = row.where(view) if callable(row.where) else row.where
        what = row.what(view) if callable(row.what) else row.what
        words = self.words(view.study, view.piece)
        values = {dim: view.word(dim) for dim in view.at}
        premature, why = row.premature(view), row.undecided(view, got)
        return claim(
            row.id,
            got.measured,
            theory,
            instance=listed(words, where, seeds_said(view, got, row.who)),
            what=what.format(**values),
            unit=row.unit,
            sampled=row.sampled,
            undecided=premature or undecided(got.measured, theory, why),
            decides=row.decides(view),
        )


def seeds_said(view: View, got: Got, who: str = "") -> str:
    """Of how many seeds a number is, in words, or what it says instead."""
    if got.said is not None:
        return got.said
    seeds = len(seeds_of(view.study.axes))
    used = seeds if got.used is None else got.used
    if not who and used == view.kept.sum():
        who = "that did not diverge"
    return seeds_words(used, seeds, who, view.study.alike)


def undecided(measured: HasInterval | Measured, theory: Theory | None, why: str) -> str:
    """`why`, where there is a theory that the number does not meet anyhow."""
    if not why or theory is None:
        return ""
    return why if isinstance(measured, Measured) else unless_holds(measured, theory, why)


def drawn(draw: Draw, views: Sequence[View]) -> tuple[Figure, ...]:
    """The figures of one row: small multiples, and what shows all combinations."""
    of: Mapping[tuple[int, ...], View] = {view.piece.index: view for view in views}
    return small_multiples(
        draw.name,
        [view.piece for view in views],
        lambda piece: draw.panels(of[piece.index]),
        draw.caption,
        draw.more(views),
        draw.claims,
    )


def _check_lines(figures: Sequence[Figure], known: set[str]) -> None:
    for figure in figures:
        if unknown := {*figure.claims} - REGISTRY.keys():
            raise ValueError(f"figure {figure.name} shows {sorted(unknown)}, which are no claims")
        for panel in figure.panels:
            missing = {line.variable for line in panel.lines} - known
            if missing:
                raise ValueError(f"figure {figure.name} draws {sorted(missing)}, which is no array")
