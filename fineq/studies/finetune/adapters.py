"""What fine-tuning leaves as files: adapters alone, and the base model with them merged in.

Of every combination of the axes but seeds, those of the first seed that did not diverge. Adapters
lie under the paths of their weights, `PATH/A` and `PATH/B`; the text of their file says at which
values they were trained, and by a digest on which base model. A merged file is a model like any.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save

from fineq.errors import InputError
from fineq.finetune import Adapters, adapted, make_adapters
from fineq.interop import diffusers
from fineq.interop.tensors import check_tensors
from fineq.studies import common
from fineq.studies.finetune.common import Study
from fineq.studies.finetune.model import (
    ABOUT,
    Model,
    described,
    flat,
    shapes_of,
    to_bytes,
)
from fineq.sweep import Axis

KIND = "adapters"


def kept(study: Study, adapters: Any, lost: np.ndarray) -> dict[str, bytes]:
    """Files of fine-tuned models, content by name, `adapters-beta-0.3.safetensors` and so on.

    Args:
        study: bound, with its base model.
        adapters: leaves `[*own axes, *study axes, ...]`.
        lost: members that diverged, `[*own axes, *study axes]`.
    """
    base, files = study.given.base, {}
    assert base is not None
    reward = dataclasses.asdict(study.config.reward)
    for at, place in _first_kept([*study.own, *study.axes], lost):
        one = jax.tree.map(lambda leaf, i=place: jnp.asarray(leaf[i]), adapters)
        named = "".join(f"-{k}-{v}" for k, v in at.items() if k != "seed").replace("/", "-")
        files[f"adapters{named}.safetensors"] = adapters_bytes(one, base, {**at, "reward": reward})
        if study.config.tuning.merged:
            merged = base._replace(denoiser=adapted(base.denoiser, one))
            files[f"model{named}.safetensors"] = to_bytes(merged)
    return files


def adapters_bytes(adapters: Adapters, base: Model, of: Mapping[str, Any]) -> bytes:
    """The content of a file of adapters; `of` says in words and numbers how they were trained."""
    about = {"kind": KIND, "base": digest(base), "of": dict(of)}
    texts = {ABOUT: json.dumps(about, sort_keys=True)}
    if diffusers.is_theirs(base.denoiser):
        return diffusers.adapters_bytes(adapters, base.denoiser, texts)
    return save(flat(adapters), texts)


def load_adapters(path: Path, base: Model) -> Adapters:
    """Read adapters of a base model, in its precision; of the file nothing is executed.

    Raises:
        InputError: for a file that holds no adapters, is cut off or whose header lies, adapters of
            another base model, or other tensors than its layers need, which are listed.
    """
    tensors, about = described(path, "a file of adapters")
    if about.get("kind") != KIND:
        raise InputError(f"{path} is not a file of adapters")
    if about.get("base") != digest(base):
        raise InputError(f"{path} holds adapters of another base model")
    if diffusers.is_theirs(base.denoiser):
        return diffusers.load_adapters(path, base.denoiser)
    ranks = [x.shape[0] for name, x in tensors.items() if name.endswith("/A") and x.ndim == 2]
    variables = base.denoiser.variables
    try:
        wanted = jax.eval_shape(
            lambda key: make_adapters(key, variables, max(ranks, default=0)), jax.random.key(0)
        )
        check_tensors(
            shapes_of(wanted), tensors, "the adapters are not of this base model: the file"
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    dtype = base.denoiser.schedule.sigmas.dtype
    found: Adapters = {layer: {} for layer in wanted}
    for name, x in tensors.items():
        layer, _, side = name.rpartition("/")
        found[layer][side] = jnp.asarray(x, dtype)
    return found


def digest(base: Model) -> str:
    """SHA-256 of a model's weights, the same in every precision from float32 on."""
    found = hashlib.sha256()
    for name, x in sorted(flat(base.denoiser.variables).items()):
        found.update(f"{name} {x.shape}\n".encode())
        found.update(np.ascontiguousarray(x, np.float32).tobytes())
    return found.hexdigest()


def _first_kept(axes: Sequence[Axis], lost: np.ndarray) -> Iterator[tuple[dict[str, Any], Any]]:
    """The first seed, along the last axis, that did not diverge at a combination of the others."""
    names = common.dims_of(axes)
    for index in np.ndindex(lost.shape[:-1]):
        fine = np.flatnonzero(~lost[index])
        if fine.size:
            place = (*index, int(fine[0]))
            yield {k: a.values[i] for k, a, i in zip(names, axes, place, strict=True)}, place
