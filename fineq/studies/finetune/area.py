"""What the shell needs to know of fine-tuning networks."""

import dataclasses
from pathlib import Path

from fineq.interop.places import check_weights, is_diffusers, places_of
from fineq.settings.effects import settle
from fineq.studies.area import Area, Needed
from fineq.studies.finetune import STUDIES
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.effects import EFFECTS, OWN_BASE
from fineq.studies.inputs.files import regular_file
from fineq.studies.inputs.tensors import PICKLES, SUFFIX, tensors_file

MODEL = "model.safetensors"  # in the folder of a pretrain run


def files(config: FinetuneConfig) -> dict[str, Path]:
    """Field to the file it names, whose content changes the results."""
    found = {}
    if is_read(config) and config.data.name == "images":
        path = config.data.path
        folder = path is not None and Path(path).is_dir()
        found["data.path"] = Path(str(path)) if folder else regular_file("data.path", path)
    if config.base is not None:
        found |= base_files(config.base)
    return found


def is_read(config: FinetuneConfig) -> bool:
    """Whether the data are those of the configuration, and not those that come with a model."""
    return config.base is None or is_diffusers(config.base)


def base_files(base: str) -> dict[str, Path]:
    """The files of a base model; those that go with its weights under names of their own.

    Raises:
        InputError: as `base_file`, and for weights of a diffusers model that are no safetensors.
    """
    theirs = places_of(base)
    if theirs is None:
        return {"base": base_file(base)}
    check_weights(theirs)
    beside = {"base_config": theirs.config, "base_chain": theirs.chain}
    found = {"base": theirs.weights, **{k: place for k, place in beside.items() if place}}
    return {k: regular_file("base", str(theirs.folder / place)) for k, place in found.items()}


def base_file(base: str) -> Path:
    """The file of a base model: itself, or in the folder of the run that made it.

    Raises:
        InputError: where there is none, or what is named is a pickle.
    """
    named = Path(base).suffix in (SUFFIX, *PICKLES)
    return tensors_file("base", base if named else str(Path(base) / MODEL))


def target(config: FinetuneConfig) -> str | None:
    """The user's own reward, where there is one."""
    return str(config.reward.target) if config.reward.name == "python" else None


def needs(config: FinetuneConfig) -> Needed | None:
    """The pretrain run that makes the model, where none is named."""
    if config.study in OWN_BASE or config.base is not None:
        return None
    training = dataclasses.replace(
        config, study="pretrain", name="run", seeds=1, sweep={}, force=False
    )
    return Needed(settle(training, EFFECTS, {}), "base")


AREA = Area("finetune", FinetuneConfig, EFFECTS, STUDIES, files, target, needs)
