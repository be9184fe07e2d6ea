"""What the shell needs to know of fine-tuning networks."""

import dataclasses
from pathlib import Path

from fineq.settings.effects import settle
from fineq.studies.area import Area, Needed
from fineq.studies.finetune import STUDIES
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.effects import EFFECTS
from fineq.studies.inputs.files import regular_file
from fineq.studies.inputs.tensors import PICKLES, SUFFIX, tensors_file

MODEL = "model.safetensors"  # in the folder of a pretrain run


def files(config: FinetuneConfig) -> dict[str, Path]:
    """Field to the file it names, whose content changes the results."""
    found = {}
    if config.base is None and config.data.name == "images":
        path = config.data.path
        folder = path is not None and Path(path).is_dir()
        found["data.path"] = Path(str(path)) if folder else regular_file("data.path", path)
    if config.base is not None:
        found["base"] = base_file(config.base)
    return found


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
    if config.study == "pretrain" or config.base is not None:
        return None
    training = dataclasses.replace(
        config, study="pretrain", name="run", seeds=1, sweep={}, force=False
    )
    return Needed(settle(training, EFFECTS, {}), "base")


AREA = Area("finetune", FinetuneConfig, EFFECTS, STUDIES, files, target, needs)
