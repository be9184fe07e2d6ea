"""A diffusers model from its folder, and back: of what is read nothing is executed."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from safetensors.numpy import save

from fineq.ddpm import Denoiser, Schedule
from fineq.errors import InputError, in_a_line
from fineq.finetune import Adapters, adapted, make_adapters
from fineq.interop.diffusers.chain import chain_of
from fineq.interop.diffusers.config import config_of
from fineq.interop.diffusers.names import (
    adapters_from_tensors,
    adapters_to_tensors,
    from_tensors,
    to_tensors,
)
from fineq.interop.diffusers.network import UNet2D
from fineq.interop.places import CONFIG, Places, check_weights, places_of
from fineq.interop.tensors import read_tensors

TEXTS = {"format": "pt"}  # what diffusers asks of a file of tensors
ADAPTERS = "adapters.safetensors"


def is_theirs(denoiser: Denoiser) -> bool:
    """Whether a model's network is one of diffusers."""
    return isinstance(denoiser.module, UNet2D)


class Pretrained(NamedTuple):
    """A model and what else is in its folder.

    Attributes:
        denoiser: the network as a score, with its chain.
        places: its files.
        texts: content of those that are no tensors, by their place.
        words: what was read.
    """

    denoiser: Denoiser
    places: Places
    texts: dict[Path, bytes]
    words: str


def load(folder: str | Path, num_steps: int | None = 50, dtype: Any = jnp.float32) -> Pretrained:
    """Load a UNet2DModel with its noise schedule.

    Args:
        folder: with config.json, diffusion_pytorch_model.safetensors and perhaps
            scheduler_config.json (without: the linear schedule of 1000 steps that is usual), or
            that of a pipeline, which has them in `unet` and `scheduler`.
        num_steps: T of the chain, that many of the steps that the network was trained on; None:
            all of them.
        dtype: of variables, chain and arithmetic.

    Raises:
        InputError: for a folder without such a model, one with options or blocks that fineq does
            not have, weights as a pickle, which is not opened, tensors that are missing, too many
            or misshapen, and a damaged file.
    """
    places, dtype = places_of(folder), jnp.dtype(dtype)
    if places is None:
        raise InputError(f"{folder} has no {CONFIG} of a diffusers model")
    check_weights(places)
    kept = [place for place in (places.config, places.chain, *places.others) if place is not None]
    texts = {place: (places.folder / place).read_bytes() for place in kept}
    config = _described(places, texts, places.config, config_of)
    chain = _described(places, texts, places.chain, lambda given: chain_of(given, num_steps))
    module, weights = UNet2D(config, dtype), places.folder / places.weights
    tensors = read_tensors(weights, "a file of tensors").arrays
    d = config.shape[0] * config.shape[1] * config.shape[2]
    schedule = Schedule(*(jnp.asarray(x, dtype) for x in chain.schedule))
    times = jnp.asarray(chain.times, dtype)
    template = jax.eval_shape(module.init, jax.random.key(0), times[:1], jnp.zeros((1, d), dtype))
    variables = from_tensors(
        template, tensors, dtype, f"{weights} is not of the network that {CONFIG} names: it"
    )
    made = Denoiser(variables, schedule, times, None, module, chain.prediction, 0, d)
    num = sum(leaf.size for leaf in jax.tree.leaves(variables))
    height, width, channels = config.shape
    words = (
        f"UNet2DModel of {num:,} parameters, images of {height} x {width} x {channels}, "
        f"{chain.words}{'' if places.chain else ' (the usual ones: there is no file of them)'}"
    )
    return Pretrained(made, places, texts, words)


def save_merged(folder: str | Path, model: Pretrained, adapters: Adapters | None = None) -> Path:
    """Write a folder like the one that was loaded, with adapters merged into the weights.

    The adapters lie beside them in a file of their own, as PEFT lays them out. The folder appears
    when all of it is written.

    Raises:
        InputError: for a folder that is there and not empty, or cannot be written.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already: name a folder that is not")
    base = model.denoiser
    # One program: layer by layer, each shape would compile by itself.
    merged = base if adapters is None else jax.jit(adapted)(base, adapters)
    content = {**model.texts, model.places.weights: weights_bytes(merged)}
    if adapters is not None:
        content[model.places.weights.with_name(ADAPTERS)] = adapters_bytes(adapters, base)
    try:
        _write(target, content)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InputError(f"{target} cannot be written: {reason}") from error
    return target


def weights_bytes(denoiser: Denoiser) -> bytes:
    """The content of a file of a UNet2DModel's weights."""
    return save(to_tensors(denoiser.variables), TEXTS)


def adapters_bytes(
    adapters: Adapters, base: Denoiser, texts: Mapping[str, str] | None = None
) -> bytes:
    """The content of a file of adapters of a model, and what else it says."""
    return save(adapters_to_tensors(adapters, base.variables), {**TEXTS, **(texts or {})})


def load_adapters(path: str | Path, base: Denoiser) -> Adapters:
    """Read adapters of a model, as `save_merged` writes them.

    Raises:
        InputError: for a damaged file, or one of other tensors than adapters of this model have.
    """
    tensors = read_tensors(Path(path), "a file of adapters").arrays
    ranks = [x.shape[0] for name, x in tensors.items() if name.endswith(".lora_A.weight")]
    if not ranks:
        raise InputError(f"{path} is not a file of adapters: no tensor ends with .lora_A.weight")
    variables, dtype = base.variables, base.schedule.sigmas.dtype
    try:
        made = jax.eval_shape(
            lambda key: make_adapters(key, variables, max(ranks)), jax.random.key(0)
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    sentence = f"{path} is not of adapters of this model: it"
    return adapters_from_tensors(made, variables, tensors, dtype, sentence)


def _described(places: Places, texts: Mapping[Path, bytes], place: Path | None, read: Any) -> Any:
    """What a file of options says; of none, what there is by default."""
    if place is None:
        return read({})
    path = places.folder / place
    try:
        given = json.loads(texts[place])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a file of JSON ({in_a_line(error)})") from None
    if not isinstance(given, dict):
        raise InputError(f"{path} must hold options by name")
    try:
        return read(given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: an option has a value of another kind ({in_a_line(error)})"
        ) from None


def _write(target: Path, content: Mapping[Path, bytes]) -> None:
    """All of it, or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for place, text in content.items():
            (beside / place).parent.mkdir(parents=True, exist_ok=True)
            (beside / place).write_bytes(text)
        beside.chmod(0o755)
        beside.replace(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
