"""Handwritten digits from learned scores: real data with an exact f* (`ntk/sampling`).

The images, on their leading principal axes and scaled to the cube, are the points of X_0; f* is the
exact softmax over all of them. Samples are shown as images again: the last step of the reverse
process is the prediction of X_0 at X_{T0}, and what the axes do not carry is the mean image.
"""

import dataclasses

import numpy as np

from fineq.claims import Measured
from fineq.errors import InputError
from fineq.figures import Figure, Line, Panel
from fineq.ntk.data import Digits, digits
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult
from fineq.studies.ntk import sampling
from fineq.studies.ntk.claims import claim
from fineq.studies.ntk.common import make_study
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.studies.ntk.sampling_views import MODELS
from fineq.sweep.stages import Stages

ROWS, COLUMNS = 4, 4
SIDE, GAP = 8, 3  # pixels of an image, and between images
DATA = "data"


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """As `sampling`, and the samples as images.

    Raises:
        InputError: for another target, or a sweep of the dimension.
    """
    if config.target.name != "digits":
        raise InputError(f"study=digits needs target.name=digits, got {config.target.name}")
    if min(config.sampling.shown, config.sampling.num_samples) < ROWS * COLUMNS:
        raise InputError(f"sampling.shown must be at least {ROWS * COLUMNS} for study=digits")
    study = make_study(config, given, stages)
    known = digits(study.d)
    times, values = sampling.sampled(study)
    result = sampling.result_of(study, times, values)
    shown = values["denoised"][(0,) * len(study.axes)][:, : ROWS * COLUMNS]
    arrays, coords = _images(known, shown)
    explained = claim(
        "ntk/sampling",
        Measured.exact(known.explained),
        instance=f"{len(known.locations)} images, d = {study.d}",
        what="share of the images' variance that the principal axes carry",
    )
    return dataclasses.replace(
        result,
        arrays={**result.arrays, **arrays},
        coords={**result.coords, **coords},
        claims=(*result.claims, explained),
        figures=(*result.figures, _figure()),
    )


def _images(known: Digits, samples: np.ndarray) -> tuple[Arrays, Arrays]:
    """Sheets of images `[model, x, y]`: data, then samples `[4, rows * columns, d]`."""
    rng = np.random.default_rng(0)
    pick = rng.choice(len(known.locations), ROWS * COLUMNS, replace=False)
    every = np.concatenate([known.locations[pick][None], samples])
    sheets = np.stack([_sheet(known.images(points)) for points in every])
    models = np.array([DATA, *MODELS])
    x, y = np.arange(sheets.shape[1]), -np.arange(sheets.shape[2])
    dims = ("sheet", "column", "row")
    # The vertical axis of a figure points up, and rows of pixels are counted downwards.
    return {"sheets": Named(sheets, dims, "1", "ink")}, {
        "sheet": Named(models, dims[:1], "1", "model"),
        "column": Named(x, dims[1:2], "1", "column of pixels"),
        "row": Named(y[::-1], dims[2:], "1", "row of pixels"),
    }


def _sheet(images: np.ndarray) -> np.ndarray:
    """Images `[rows * columns, 8, 8]` side by side, `[column, row]` with the last row first."""
    side = SIDE + GAP
    framed = np.pad(images, ((0, 0), (1, GAP - 1), (1, GAP - 1)))
    grid = framed.reshape(ROWS, COLUMNS, side, side).transpose(0, 2, 1, 3)
    pixels = np.clip(grid.reshape(ROWS * side, COLUMNS * side), 0, 1)
    return pixels[::-1].T


def _figure() -> Figure:
    panels = tuple(
        Panel(
            "image",
            "column",
            (Line("sheets", "", {"sheet": model}),),
            title=model,
        )
        for model in (DATA, *MODELS)
    )
    return Figure(
        "digits",
        panels,
        "Digits on the principal axes used, and samples: predictions of X_0 at X_{T0}.",
    )
