"""A model that is told a class, fine-tuned to draw what it is told: each class is a prompt.

A path's class is drawn from those that are asked for, and its reward is that of its own class,
log p(class | y) unless another is configured. The base model is guided, if at all, without a
classifier, and so is what it is fine-tuned to. Given a class, fine-tuning is a problem of its own:
each has its bound, its divergence and what is left to gain, in nats (`finetune/gap`).
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.ddpm import samplers
from fineq.ddpm.denoiser import Denoiser
from fineq.errors import InputError
from fineq.finetune import Tuning, adapted, make_tuning
from fineq.finetune.evaluate import judge, report
from fineq.finetune.weights import Weighed, weigh
from fineq.keys import key_for
from fineq.studies.common import first_alone
from fineq.studies.finetune import common, tuned
from fineq.studies.finetune.adapters import kept
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.copies import KeptAdapters, copies
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.pictures import COLUMNS, pictures, sheet
from fineq.studies.finetune.rewards import Rewarded, rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, View
from fineq.sweep import Axis, Table, Task, solving
from fineq.sweep.stages import Member, Stages

RECORDS = 6  # steps at which the classes are looked at one by one
SHARE = 8  # of the paths behind the last estimates, which are simulated there
EACH = ("prompt",)
QUANTITIES = (
    Quantity("before", "reward of the base model", EACH, own=()),
    Quantity("reward", "reward", EACH),
    Quantity("divergence", "divergence from the base model [nat]", EACH),
    Quantity("gap", "what is left to gain: divergence from the tilted law [nat]", EACH),
    Quantity("gap_high", "what is left to gain, upper 95% limit [nat]", EACH),
    Quantity("effective", "effective paths behind the gap", EACH),
    Quantity("judged", "share of samples in which a second classifier sees the class", EACH),
    Quantity("reward_at", "reward", ("prompt", "iteration")),
    Quantity("divergence_at", "divergence from the base model [nat]", ("prompt", "iteration")),
)


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axis is the price β, of the guided base model.

    Raises:
        InputError: for a model without classes, or classes that it does not have.
    """
    assert given.base is not None
    base, labels = given.base.denoiser, config.reward.labels
    if not base.num_classes:
        raise InputError("study=prompts needs a model with classes, and this one has none")
    if max(labels) >= base.num_classes or len(set(labels)) < len(labels):
        raise InputError(
            f"reward.labels must be different classes below {base.num_classes}, got {labels}"
        )
    if config.tuning.guidance is not None:
        given = given._replace(
            base=given.base._replace(denoiser=base.guided(config.tuning.guidance))
        )
    return common.make_study(config, given, stages, Axis("beta", config.betas))


def measure(study: common.Study) -> Found:
    """Fine-tune at every price, and look at each class along the way and at the end."""
    made = rewarded(study)
    axes, steps = [*study.own, *study.axes], study.config.tuning.num_steps
    looked = common.records(steps, RECORDS)[1:]
    trained = study.stages.sweep(
        "fine-tuning",
        lambda static: solving(
            lambda key, member: Task(_tuning(study, made, member), _method(study, member)),
            num_steps=steps,
            record=[0, *looked],
        ),
        axes,
    )
    at = Axis("iteration", looked.tolist())
    way = study.stages.measure(
        "classes on the way",
        partial(_on_the_way, study, made),
        [at, *axes],
        {"adapters": copies(trained, looked.tolist())},
    )
    base = study.stages.measure("the base model", partial(_before, study, made), study.axes)
    seen = study.stages.measure(
        "the fine-tuned models",
        partial(_after, study, made),
        axes,
        {"adapters": trained.final.average, "base": Table(study.axes, base)},
    )
    first = (0,) * len(study.axes)
    names = ["base model", *(f"β = {beta:g}" for beta in study.own[0].values)]
    samples = [base["samples"][first], *(x[first] for x in seen.pop("samples"))]
    return Found(
        {
            **seen,
            "before": np.mean(base["paths"].reward, axis=(-2, -1)),
            **{name: np.moveaxis(x, 0, -1) for name, x in way.items()},
        },
        list(study.own),
        {"prompt": study.config.reward.labels, "iteration": looked},
        trained.diverged,
        made.notes,
        arrays=pictures(study.given.data.shape, dict(zip(names, samples, strict=True))),
        files=kept(study, trained.final.average, trained.diverged),
    )


def _method(study: common.Study, member: Member) -> KeptAdapters:
    plain = common.policy_iteration(study, member)
    return KeptAdapters(**{f.name: getattr(plain, f.name) for f in dataclasses.fields(plain)})


def _tuning(study: common.Study, made: Rewarded, member: Member) -> Tuning:
    labels, beta = np.asarray(study.config.reward.labels), jnp.asarray(member["beta"], study.dtype)
    return make_tuning(study.base, made.reward, beta, labels)


def _on_the_way(study: common.Study, made: Rewarded, member: Member) -> dict[str, Array]:
    """Reward and divergence of each class at one record, `[C]`, from few paths."""
    tuning = _tuning(study, made, member)
    policy = adapted(tuning.base, member["adapters"])
    num = study.config.truth.num_paths // SHARE
    key = key_for(member["seed"], "paths of classes on the way")
    paths = weigh(key, tuning, policy, num * len(study.config.reward.labels))
    seen = (paths.reward, paths.divergence)
    reward, divergence = (jnp.mean(x, axis=(1, 2)) for x in seen)
    return {"reward_at": reward, "divergence_at": divergence}


def _before(study: common.Study, made: Rewarded, member: Member) -> dict[str, Any]:
    """Paths of the base model, and samples of each class."""
    tuning = _tuning(study, made, {**member, "beta": 1.0})
    paths = _weighed(study, tuning, None, key_for(member["seed"], "paths of prompts before"))
    without = paths._replace(last=paths.last[..., :0])
    return {"paths": without, "samples": _samples(study, member, tuning.base)}


def _after(study: common.Study, made: Rewarded, member: Member) -> dict[str, Array]:
    """What paths of a fine-tuned model say of each class, `[C]`, and samples."""
    tuning = _tuning(study, made, member)
    policy = adapted(tuning.base, member["adapters"])
    paths = _weighed(study, tuning, policy, key_for(member["seed"], "paths of prompts after"))
    found = {"samples": _samples(study, member, policy)}
    wanted = jnp.asarray(study.config.reward.labels, jnp.int32)

    def of_class(before: Weighed, after: Weighed, k: Array) -> dict[str, Array]:
        before, after = (jax.tree.map(lambda x: x[None], paths) for paths in (before, after))
        seen, gap = report(after, tuning.beta), tuned.gap_of(before, after, tuning.beta)
        own = {
            "reward": seen.reward.value,
            "divergence": seen.divergence.value,
            "gap": gap.value,
            "gap_high": gap.high,
            "effective": gap.effective,
        }
        if made.judge is not None:
            own["judged"] = judge(made.judge, after, k).accuracy.value
        return own

    return {**found, **jax.vmap(of_class)(member["base"]["paths"], paths, wanted)}


def _weighed(study: common.Study, tuning: Tuning, policy: Denoiser | None, key: Array) -> Weighed:
    truth = study.config.truth
    return weigh(
        key, tuning, policy, truth.num_paths * len(study.config.reward.labels), truth.inner
    )


def _samples(study: common.Study, member: Member, model: Denoiser) -> Array:
    """A row of samples of each class, from noise that is the same for all models of a seed."""
    label = jnp.repeat(jnp.asarray(study.config.reward.labels, jnp.int32), COLUMNS)
    key = key_for(member["seed"], "noise of the prompts' pictures")
    return samplers.ancestral(key, model, label.size, label=label)


def _panels(view: View) -> list[figures.Panel]:
    found = []
    for beta in view.values_of("beta"):
        at = view.chosen(beta=beta)
        for name, title in {"reward_at": "Reward", "divergence_at": "Divergence"}.items():
            lines = [at.line(name, f"class {k}", prompt=k) for k in at.values_of("prompt").tolist()]
            title = f"{title}, β = {beta:g}"
            found.append(at.panel("curves", "iteration", lines, title=title, log="x"))
    return found


def _classes(view: View) -> list[figures.Panel]:
    nats = {"gap": "left to gain", "gap_high": "upper limit", "divergence": "from the base model"}
    betas = view.values_of("beta")
    title = "Divergences, β = {:g}".format
    return [
        view.chosen(beta=beta).panel("curves", "prompt", nats, title=title(beta), ylabel="nats")
        for beta in betas
    ]


def _pictures(views: Sequence[View]) -> list[figures.Figure]:
    if "sheets" not in views[0].found.arrays:
        return []
    names = ["base model", *(f"β = {beta:g}" for beta in views[0].values_of("beta"))]
    caption = "A row of samples of each class, before and after, from the same noise."
    note = first_alone([view.piece for view in views])
    return [figures.Figure("pictures", tuple(map(sheet, names)), caption, note)]


_told = partial(common.told, "finetune/gap", each=("beta", "prompt"))


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=(
        _told(
            "gap_high", "what is left to gain, upper 95% limit, class {prompt}, β = {beta}", "nat"
        ),
        _told("divergence", "divergence from the base model, class {prompt}, β = {beta}", "nat"),
        _told("reward", "reward, class {prompt}, β = {beta}"),
    ),
    figures=(
        _pictures,
        Draw("training", _panels, "Fine-tuning, class by class."),
        Draw("classes", _classes, "What each class is from the base model, and has left to gain."),
    ),
)
