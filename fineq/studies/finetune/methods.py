"""Ways to fine-tune, at equal network evaluations, beside the most reward that any can have.

All have the same chain, base model, rank, paths of a step and optimiser, and as many steps as what
`tuning.num_steps` of PI-FT cost allows (`AdapterTraining.evaluations`). Guidance and the best of n
train nothing and pay when they sample. What a method has left to gain is (B - J)/β in nats
(`finetune/gap`); no policy lies above the ideal frontier of reward and divergence
(`finetune/frontier`). The best of n changes the law of Y_0: its divergence is the bound
log n - (n - 1)/n, and its gap is to the marginal bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory
from fineq.finetune import Earned, Paths, best_of, guide
from fineq.finetune.rewards import Ink
from fineq.finetune.truth import gaps
from fineq.finetune.weights import Weighed
from fineq.keys import key_for
from fineq.pift.certificates import Gap
from fineq.results import Array as Named
from fineq.results import Arrays, status_of
from fineq.studies import statistics
from fineq.studies.finetune import common, roster, tuned
from fineq.studies.finetune.adapters import kept
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.rewards import Rewarded, rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.studies.sheets import sheets
from fineq.sweep import Axis, Table
from fineq.sweep.stages import Member, Stages

MORE = 4  # times as many paths of the base model as of a policy: bounds and frontier rest on them
MARGIN = 0.05  # of the reward: what estimates of two means may differ by
SHOWN, COLUMNS = 16, 4  # samples of each method in a picture
NATS = 64  # places at which the ideal frontier is kept
PAGE = 6  # pictures of one figure
QUANTITIES = (
    *tuned.REPORTED,
    Quantity("most", "most reward", ("nats",), own=()),
    Quantity("lost", "whether the method diverged"),
    Quantity("escaped", "whether samples are further apart than data can be"),
)


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axis are the methods.

    Raises:
        InputError: for more steps to be differentiated than the chain has.
    """
    assert given.base is not None
    config.methods.check_length(given.base.denoiser.schedule.num_steps)
    best = [f"best of {int(n)}" for n in config.methods.best_of]
    names = [*config.methods.names, roster.GUIDANCE, *best]
    study = common.make_study(config, given, stages, Axis("method", names, static=True))
    problem = common.tuning_of(study, Ink(), {})
    for entrant in roster.entrants(config, problem):
        if hasattr(entrant.method, "remat"):  # others hold less than PI-FT does
            common.check_memory(study, entrant.method)
    return study


def measure(study: common.Study) -> Found:
    """Train by every method, sample without training, and look at what comes of it."""
    made = rewarded(study)
    problem = common.tuning_of(study, made.reward, {"beta": 1.0})
    entrants = roster.entrants(study.config, problem)
    runs = [
        tuned.fine_tune(
            study, made, study.axes, lambda member, by=by: by, num, name=f"fine-tuning by {name}"
        )
        for name, by, num in entrants
    ]
    base = tuned.base_paths(study, made, MORE)
    adapters = jax.tree.map(lambda *x: np.stack(x), *(run.final.average for run in runs))
    # One program for all of them, which differ in their numbers alone.
    axes = [Axis("method", range(len(runs))), *study.axes]
    seen = tuned.tuned_paths(study, made, axes, adapters, base, SHOWN)
    known = Table(study.axes, base)
    others = study.stages.measure(
        "samples without training", partial(_untrained, study, made), study.axes, {"base": known}
    )
    # The stage has its methods last.
    others = {k: np.moveaxis(x, len(study.axes), 0) for k, x in others.items()}
    whole = {k: np.concatenate([x, others[k]]) for k, x in seen.items()}
    lost = ~np.isfinite(whole["reward"]) | ~np.isfinite(whole["divergence"])
    lost[: len(runs)] |= np.stack([run.diverged for run in runs])
    shown = whole.pop("shown")
    # Two points of the box that holds all data are no further apart, by √d.
    escaped = ~(whole["distance"] <= np.ptp(study.given.data.x))
    trained = study._replace(own=(Axis("method", study.config.methods.names, static=True),))
    steps = ", ".join(f"{roster.NAMES[name]} {num}" for name, _, num in entrants)
    nats = np.geomspace(1e-2, max(base["known_divergence"].max(), 2e-2), NATS)
    return Found(
        {
            **tuned.marked(whole, lost),
            "lost": lost,
            "escaped": escaped,
            "most": _frontier(nats, base),
        },
        list(study.own),
        {"nats": Named(nats, ("nats",), "nat", "divergence from the base model")},
        notes={**made.notes, "steps": f"steps of equal cost: {steps}", **_escaped(study, escaped)},
        status=status_of(lost),
        arrays=_pictures_of(study, shown),
        files=kept(trained, adapters, lost[: len(runs)]),
    )


def _escaped(study: common.Study, escaped: np.ndarray) -> dict[str, str]:
    """A note of methods whose samples left the data."""
    names = study.own[0].values
    gone = [_words(name) for name, own in zip(names, escaped, strict=True) if own.any()]
    said = f"samples further apart than data can be: {', '.join(gone)}"
    return {"escaped": said} if gone else {}


def _frontier(nats: np.ndarray, base: Mapping[str, np.ndarray]) -> np.ndarray:
    """The most reward at these divergences, `[*axes, nats]`; NaN beyond what enough paths tell."""
    at, reward, end = base["ideal_divergence"], base["ideal_reward"], base["known_divergence"]
    most = np.empty((*end.shape, len(nats)))
    for i in np.ndindex(end.shape):
        most[i] = np.where(nats <= end[i], np.interp(nats, at[i], reward[i]), np.nan)
    return most


def _untrained(study: common.Study, made: Rewarded, member: Member) -> dict[str, Array]:
    """What samples of guidance, and of the best of n, say, leaves `[method, ...]`."""
    tuning = common.tuning_of(study, made.reward, member)
    num, ns = study.config.truth.num_paths, [int(n) for n in study.config.methods.best_of]
    before = tuned.weighed_base(member["base"])

    def said(paths: Weighed, left: Gap) -> dict[str, Array]:
        found = tuned.said_of(study, made, paths, tuning.beta, member["base"])
        return {**found, **tuned.named(left), "shown": paths.last[0, :SHOWN, 0]}

    guided = _weighed(*guide(key_for(member["seed"], "guided paths"), tuning, num))
    found = [said(guided, gaps(before, guided, tuning.beta).conditional)]
    for n in ns:
        key = jax.random.fold_in(key_for(member["seed"], "paths to choose from"), n)
        best = _weighed(*best_of(key, tuning, max(num // FEWER, SHOWN), n))
        found.append(said(best, gaps(before, best, tuning.beta).marginal))
    return jax.tree.map(lambda *x: jnp.stack(x), *found)


FEWER = 4  # times fewer samples where each costs n


def _weighed(paths: Paths, earned: Earned) -> Weighed:
    """Paths from independent starts, whose weights nobody asks for."""
    reward, divergence = (x[None, :, None] for x in (earned.reward, earned.divergence))
    unknown = jnp.full_like(reward, jnp.nan)
    return Weighed(reward, divergence, unknown, paths.states[-1][None, :, None])


def _pictures_of(study: common.Study, shown: np.ndarray) -> Arrays:
    """A sheet of samples of every method, of the first seed, where they are images."""
    shape = study.given.data.shape
    if shape is None:
        return {}
    first = shown[(slice(None), *(0,) * len(study.axes))]
    images = first.reshape(*first.shape[:2], *shape).mean(axis=-1)
    names = [_words(name) for name in study.own[0].values]
    return sheets(np.nan_to_num(images + 1) / 2, names, COLUMNS, "intensity")


def _words(name: str) -> str:
    return roster.NAMES.get(name, name)


def _of_all(name: str) -> Any:
    """A quantity of all seeds, those that diverged among them."""
    return lambda view: view(name)


def _above(view: View) -> np.ndarray:
    return view("reward") - view("best")


def _ended(view: View) -> str:
    """How many seeds diverged, or left the data, in words."""
    said = []
    for name, words in (("lost", "diverged in"), ("escaped", "left the data in")):
        mask = view(name) if name == "lost" else view(name) & ~view("lost")
        if mask.any():
            said.append(f"{words} {int(mask.sum())} of {mask.size} seeds")
    return ", ".join(said)


def _where(view: View) -> str:
    return _ended(view) or tuned.few(view)


def _panels(view: View) -> list[figures.Panel]:
    # Of samples that left the data a point would only squeeze the others together.
    names = [
        name
        for name in view.values_of("method").tolist()
        if not np.all(view.chosen(method=name)("escaped"))
    ]

    def each(quantity: str) -> list[figures.Line]:
        lines = [view.line(quantity, _words(name), method=name) for name in names]
        return [replace(line, missing="diverged") for line in lines]

    panels = [
        view.panel(
            *("scatter", "divergence", each("reward")),
            view.theory("most that any can have", "most"),
            title="Reward against divergence",
            log="x",
        )
    ]
    if "judged" in view.found.values:
        panels.append(
            view.panel(*("scatter", "gap_high", each("judged")), title="What a judge sees", log="x")
        )
    return panels


def _pictures(views: Sequence[View]) -> list[figures.Figure]:
    if "sheets" not in views[0].found.arrays:
        return []
    names = [_words(str(name)) for name in views[0].values_of("method")]
    panels = [
        figures.Panel("image", "column", (figures.Line("sheets", "", {"sheet": name}),), title=name)
        for name in names
    ]
    # Pages of about as many each, so that none is left with one.
    parts = np.array_split(np.arange(len(panels)), -(-len(panels) // PAGE))
    pages = [tuple(panels[i] for i in part) for part in parts]
    return [
        figures.Figure(f"samples_{i + 1}" if i else "samples", page, "Samples by every method.")
        for i, page in enumerate(pages)
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES._replace(
        long={**common.NAMES.long, "method": "method"}, values={"method": roster.NAMES}
    ),
    words=common.priced_instance,
    quantities=QUANTITIES,
    claims=(
        Row(
            *("finetune/gap", "what is left to gain, upper 95% limit, {method}"),
            statistics.Median(_of_all("gap_high")),
            each=("method",),
            where=_where,
            unit="nat",
        ),
        Row(
            *("finetune/frontier", "reward less the most at the same divergence, {method}"),
            statistics.Median(_above),
            Theory(0.0, "<=", "no policy is above the frontier", margin=MARGIN),
            each=("method",),
            when=lambda view: bool(np.isfinite(_above(view)).all()),
        ),
    ),
    figures=(
        Draw("frontier", _panels, "Methods whose samples stay with the data, at equal cost."),
        _pictures,
    ),
)
