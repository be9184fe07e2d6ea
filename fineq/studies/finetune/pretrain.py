"""Pre-training: a denoising diffusion model of the data, which the other studies fine-tune.

The model of the first seed is kept beside the arrays as `model.safetensors`. How good it is is said
in three ways: the loss on data held out, distances of its samples from them, and how near samples
come to the data it was trained on, beside how near the held-out data come.
"""

import dataclasses
import os
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.ddpm import make_schedule, quality, samplers, schedules
from fineq.ddpm.denoiser import Denoiser, Prediction, make_denoiser
from fineq.ddpm.networks import MLP, UNet
from fineq.ddpm.training import DenoiserTraining, make_denoising
from fineq.errors import InputError
from fineq.keys import key_for
from fineq.optimiser import Optimiser
from fineq.results import Arrays
from fineq.studies.finetune import common
from fineq.studies.finetune.area import MODEL
from fineq.studies.finetune.config import DataConfig, FinetuneConfig
from fineq.studies.finetune.data import Data
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.model import Model, to_bytes
from fineq.studies.finetune.pictures import SHOWN, pictures, sheet
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, View
from fineq.sweep import Table, Task, solving
from fineq.sweep.stages import Member, Stages

QUANTITIES = (
    Quantity("fresh", "loss on data held out", ("iteration",)),
    Quantity("frechet", "Fréchet distance of samples from data held out, over pixels"),
    Quantity("wasserstein", "sliced Wasserstein distance of samples from data held out"),
    Quantity("floor", "the same of as many data trained on"),
    Quantity("nearness", "distance of a sample to the nearest data trained on, median"),
    Quantity("fresh_nearness", "the same of data held out"),
)


def denoiser_of(study: common.Study) -> Denoiser:
    """The untrained model that the configuration describes.

    Raises:
        InputError: for a U-Net of data that are no images, or whose sizes do not halve, and for
            classes that the data have not.
    """
    chain, n, data = study.config.chain, study.config.network, study.given.data
    if n.classes and not data.num_classes:
        raise InputError("network.classes=true needs data with classes, and these have none")
    num_classes = data.num_classes if n.classes else 0
    options = {"width": n.width, "num_classes": num_classes, "dtype": study.dtype}
    if n.name == "mlp":
        module: Any = MLP(depth=n.depth, **options)
    elif data.shape is None:
        raise InputError("network.name=unet needs images, and the data are none")
    else:
        channels = tuple(n.channels * (i + 1) for i in range(n.depth))
        module = UNet(shape=data.shape, channels=channels, **options)
    alphas = schedules.linear_rate(chain.num_steps, chain.first, chain.last)
    return make_denoiser(
        jax.random.key(0),  # of variables that those of a seed replace
        module,
        make_schedule(alphas),
        data.x.shape[1],
        prediction=cast(Prediction, n.prediction),
        num_classes=num_classes,
        dtype=study.dtype,
    )


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study of pre-training, whose model is checked before anything runs.

    Raises:
        InputError: as `denoiser_of`.
    """
    study = common.make_study(config, given, stages)
    return study._replace(screen=denoiser_of(study))


def measure(study: common.Study) -> Found:
    """Train a model for each seed, and look at its samples."""
    c, data, model = study.config, study.given.data, study.screen
    key = key_for(0, "noise on data held out")
    told = model.num_classes > 0
    labels = {"label": data.label, "fresh_label": data.held_label} if told else {}
    working = common.computing(c, model)
    problem = make_denoising(key, working, data.x, data.held_x, **labels)
    p = c.pretrain
    optimiser = Optimiser(p.learning_rate, p.num_steps, average=p.average)
    by = DenoiserTraining(optimiser=optimiser, batch=p.batch)
    steps = common.records(p.num_steps)
    trained = study.stages.sweep(
        "pre-training",
        lambda static: solving(
            lambda key, member: Task(problem, by), num_steps=p.num_steps, record=steps
        ),
        study.axes,
    )
    networks = trained.final.average
    # Data within a program would be constants, which XLA takes its time to fold.
    known = Table([], {"held": problem.fresh.x0, "known": problem.x0, "label": problem.label})
    seen = study.stages.measure(
        "samples", partial(_samples, study), study.axes, {"variables": networks, "data": known}
    )
    # The first that did not diverge; where all did, so does the run.
    first = np.unravel_index(np.argmin(trained.diverged), trained.diverged.shape)
    kept = model.holding(jax.tree.map(lambda leaf: jnp.asarray(leaf[first]), networks))
    return Found(
        {"fresh": trained.metrics["fresh"], **{k: v for k, v in seen.items() if k != "shown"}},
        coords={"iteration": trained.iterations},
        lost=trained.diverged,
        notes={"model": f"{MODEL} holds the model of seed {study.axes[-1].values[first[-1]]}"},
        arrays=_sheets(data, seen["shown"][first]),
        files={MODEL: to_bytes(Model(kept, _found_again(c.data)))},
    )


def _found_again(data: DataConfig) -> DataConfig:
    """The settings of data whose place is the same from any folder."""
    return data if data.path is None else dataclasses.replace(data, path=os.path.abspath(data.path))


def _samples(study: common.Study, member: Member) -> dict[str, Array]:
    """What is said of the samples of one model; as many data are held against them."""
    root, held, known = member["seed"], member["data"]["held"], member["data"]["known"]
    model = common.computing(study.config, study.screen.holding(member["variables"]))
    num = study.config.pretrain.num_samples
    label = member["data"]["label"]
    if label is not None:
        label = jax.random.choice(key_for(root, "classes of samples"), label, (num,))
    samples = samplers.ancestral(key_for(root, "samples of a model"), model, num, label=label)
    apart = partial(quality.sliced_wasserstein, key_for(root, "directions of a distance"), held)
    trained_on = jax.random.choice(key_for(root, "data trained on"), known, (num,))
    return {
        "frechet": quality.frechet(held, samples),
        "wasserstein": apart(samples),
        "floor": apart(trained_on),
        "nearness": jnp.median(quality.nearest(samples, known)[0]),
        "fresh_nearness": jnp.median(quality.nearest(held, known)[0]),
        "shown": samples[:SHOWN],
    }


def _sheets(data: Data, samples: np.ndarray) -> Arrays:
    """Held-out data, again where fewer are held out, and samples."""
    return pictures(data.shape, {"data": np.resize(data.held_x, samples.shape), "samples": samples})


def _training(view: View) -> list[figures.Panel]:
    return [
        view.panel(*("curves", "iteration", {"fresh": ""}), title="Loss on data held out", log="y")
    ]


def _pictures(views: Sequence[View]) -> list[figures.Figure]:
    if "sheets" not in views[0].found.arrays:
        return []
    panels = (sheet("data"), sheet("samples"))
    return [figures.Figure("samples", panels, "Data held out, and samples of the base model.")]


_told = partial(common.told, "finetune/base")


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=common.base_instance,
    quantities=QUANTITIES,
    claims=(
        _told("frechet", "Fréchet distance of samples from data held out, over pixels"),
        _told("wasserstein", "sliced Wasserstein distance of samples from data held out"),
        _told("floor", "the same distance of as many data trained on"),
        _told("nearness", "distance of a sample to the nearest data trained on"),
        _told("fresh_nearness", "the same distance of data held out"),
    ),
    figures=(Draw("training", _training, "Pre-training of the base model."), _pictures),
)
