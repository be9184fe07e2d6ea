"""Handwritten digits from learned scores: real data with an exact f* (`ntk/sampling`).

The images, on their leading principal axes and scaled to the cube, are the points of X_0; f* is the
exact softmax over all of them. Samples are shown as images again: the last step of the reverse
process is the prediction of X_0 at X_{T0}, and what the axes do not carry is the mean image.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fineq import claims, figures
from fineq.errors import InputError
from fineq.ntk.data import Digits, digits
from fineq.results import Arrays
from fineq.studies.found import Found
from fineq.studies.ntk import sampling
from fineq.studies.ntk.common import Study, make_study
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.pictures import MODELS
from fineq.studies.sheets import sheets
from fineq.studies.view import View
from fineq.sweep.stages import Stages

ROWS, COLUMNS = 4, 4
TITLES = {"data": "data", **sampling.TITLES}


def bind(config: NtkConfig, given: Any, stages: Stages) -> Study:
    """A study of digits.

    Raises:
        InputError: for another target, or too few samples for a sheet.
    """
    if config.target.name != "digits":
        raise InputError(f"study=digits needs target.name=digits, got {config.target.name}")
    if min(config.sampling.shown, config.sampling.num_samples) < ROWS * COLUMNS:
        raise InputError(f"sampling.shown must be at least {ROWS * COLUMNS} for study=digits")
    return make_study(config, given, stages)


def measure(study: Study) -> Found:
    """As `sampling`, and the samples of one member as images."""
    found, known = sampling.measure(study), digits(study.d)
    shown = found.values["denoised"][(0,) * len(study.axes)][:, : ROWS * COLUMNS]
    return replace(found, arrays={**found.arrays, **_images(known, shown)}, more=known)


def _images(known: Digits, samples: np.ndarray) -> Arrays:
    """Sheets of images `[model, x, y]`: data, then samples `[4, rows * columns, d]`."""
    rng = np.random.default_rng(0)
    pick = rng.choice(len(known.locations), ROWS * COLUMNS, replace=False)
    every = np.concatenate([known.locations[pick][None], samples])
    return sheets(known.images(every), ["data", *MODELS], COLUMNS, "ink")


def _explained(views: Sequence[View]) -> list[claims.Claim]:
    known = views[0].found.more
    return [
        claims.claim(
            "ntk/sampling",
            claims.Measured.exact(known.explained),
            instance=f"{len(known.locations)} images, d = {known.locations.shape[1]}",
            what="share of the images' variance that the principal axes carry",
        )
    ]


def _sheets(views: Sequence[View]) -> list[figures.Figure]:
    panels = tuple(
        figures.Panel(
            "image", "column", (figures.Line("sheets", "", {"sheet": model}),), title=title
        )
        for model, title in TITLES.items()
    )
    caption = "Digits on the principal axes used, and samples: predictions of X_0 at X_{T0}."
    return [figures.Figure("digits", panels, caption)]


run = replace(
    sampling.run,
    bind=bind,
    measure=measure,
    claims=(*sampling.run.claims, _explained),
    figures=(*sampling.run.figures, _sheets),
)
