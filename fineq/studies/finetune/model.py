"""A pre-trained model as a file: its tensors, and in plain words what they are of.

The file is in the format of safetensors, which holds arrays and texts and runs nothing when it is
read. Its tensors are the network's variables, by their paths joined by `/`, and the chain's
α_1..α_T under `alphas`. Its texts say which network, which prediction, and which data.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save

from fineq.ddpm import make_schedule
from fineq.ddpm.denoiser import Denoiser, make_denoiser
from fineq.ddpm.networks import MLP, UNet
from fineq.errors import InputError, in_a_line
from fineq.interop import diffusers
from fineq.interop.tensors import check_tensors
from fineq.studies.finetune.config import DataConfig
from fineq.studies.inputs.tensors import load_tensors

NETWORKS: dict[str, type[nn.Module]] = {"mlp": MLP, "unet": UNet}
ALPHAS = "alphas"
ABOUT = "fineq"  # the text of a file that says what it holds
OF_FLAX = ("parent", "name", "dtype")


class Model(NamedTuple):
    """A pre-trained model and what it was trained on.

    Attributes:
        denoiser: the network as a score.
        data: settings of its data.
    """

    denoiser: Denoiser
    data: DataConfig


def to_bytes(model: Model) -> bytes:
    """The content of a model's file; of a diffusers model under its own tensor names."""
    denoiser = model.denoiser
    if diffusers.is_theirs(denoiser):
        return diffusers.weights_bytes(denoiser)
    tensors = flat(denoiser.variables)
    tensors[ALPHAS] = np.asarray(denoiser.schedule.alphas)[::-1].copy()
    name = next(k for k, kind in NETWORKS.items() if type(denoiser.module) is kind)
    about = {
        "network": {"name": name, **_options(denoiser.module)},
        "d": denoiser.d,
        "prediction": denoiser.prediction,
        "num_classes": denoiser.num_classes,
        "guidance": None if denoiser.guidance is None else float(denoiser.guidance),
        "data": dataclasses.asdict(model.data),
    }
    return save(tensors, {ABOUT: json.dumps(about, sort_keys=True)})


def from_file(path: Path, precision: str) -> Model:
    """Read a model; of the file nothing is executed.

    Args:
        path: of the file.
        precision: of the arithmetic; tensors are converted.

    Raises:
        InputError: for a file that is none, is cut off, or whose tensors are not its network's.
    """
    tensors, about = described(path, "a model")
    if ALPHAS not in tensors:
        raise InputError(f"{path} is not a model of fineq's: nothing in it says what its chain is")
    try:
        return _built(about, {k: v.astype(precision) for k, v in tensors.items()})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a model of this fineq's ({error!r})") from None


def described(path: Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a file, and what it says that they are of.

    Raises:
        InputError: for a file that should hold `what` and does not, or says nothing.
    """
    tensors, texts = load_tensors(path, what)
    try:
        about = json.loads(texts.get(ABOUT, "null"))
    except ValueError as error:
        raise InputError(f"{path} is not {what}, or damaged ({in_a_line(error)})") from None
    if not isinstance(about, dict):
        raise InputError(f"{path} is not {what} of fineq's: nothing in it says of which network")
    return tensors, about


def _built(about: dict[str, Any], tensors: dict[str, np.ndarray]) -> Model:
    alphas = tensors.pop(ALPHAS)
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in about["network"].items()}
    kind = NETWORKS[str(options.pop("name"))]
    template = make_denoiser(
        jax.random.key(0),  # of variables that those of the file replace
        kind(**options, dtype=alphas.dtype),
        make_schedule(alphas),
        about["d"],
        prediction=about["prediction"],
        num_classes=about["num_classes"],
        dtype=alphas.dtype,
    )
    check_tensors(
        shapes_of(template.variables), tensors, "the file is not of the network that it names: it"
    )
    variables = jax.tree.map(jnp.asarray, unflatten_dict(tensors, sep="/"))
    w = about["guidance"]
    guidance = None if w is None else jnp.asarray(w, alphas.dtype)
    denoiser = dataclasses.replace(template.holding(variables), guidance=guidance)
    return Model(denoiser, DataConfig(**about["data"]))


def shapes_of(variables: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a tree of tensors, by the names that they have in a file."""
    named: dict[str, Any] = flatten_dict(variables, sep="/")
    return {name: leaf.shape for name, leaf in named.items()}


def flat(variables: Any) -> dict[str, np.ndarray]:
    """A tree of tensors by the names that they have in a file."""
    return {k: np.asarray(v) for k, v in flatten_dict(variables, sep="/").items()}


def _options(module: nn.Module) -> dict[str, Any]:
    """The attributes of a network that JSON can hold; its arithmetic has that of its tensors."""
    names = [f.name for f in dataclasses.fields(module) if f.name not in OF_FLAX]
    return {name: getattr(module, name) for name in names}
