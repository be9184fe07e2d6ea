"""What a study of fine-tuning is given: data, a pre-trained model, the user's reward."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.errors import InputError
from fineq.studies import inputs
from fineq.studies.finetune.area import base_file, is_read
from fineq.studies.finetune.config import FinetuneConfig

if TYPE_CHECKING:
    from fineq.studies.finetune.data import Data
    from fineq.studies.finetune.model import Model


class Given(NamedTuple):
    """What a study works with.

    Attributes:
        data: what the model is, or was, trained on.
        base: the pre-trained model; None where the study makes it.
        function: the user's reward, or None.
    """

    data: "Data"
    base: "Model | None" = None
    function: Callable[..., Any] | None = None


def load(config: FinetuneConfig) -> inputs.Loaded:
    """Load and check what the configuration names.

    Raises:
        InputError: for data, a model or a function that cannot be loaded.
    """
    from fineq.studies.finetune.data import load_data
    from fineq.studies.finetune.model import from_file

    function, arithmetic = None, _arithmetic(config)
    if config.reward.name == "python":
        function = inputs.load_function("reward.target", str(config.reward.target))
    if config.base is None:
        data = load_data(config.data)
        return inputs.Loaded(Given(data, None, function), {"data": data.words, **arithmetic})
    if is_read(config):
        base, words = _theirs(config, config.base)
    else:
        base, words = from_file(base_file(config.base), config.precision), {}
    with inputs.named("" if words else "the data that base was trained on"):
        data = load_data(base.data)
    if words:
        _check_shape(base, data)
    return inputs.Loaded(Given(data, base, function), {**words, "data": data.words, **arithmetic})


def _arithmetic(config: FinetuneConfig) -> dict[str, str]:
    """What is to be said of a network that is rounded."""
    import jax

    if config.network.precision != "bfloat16" or jax.default_backend() != "cpu":
        return {}
    return {"network.precision": "a CPU computes bfloat16 by way of float32: nothing is gained"}


def _theirs(config: FinetuneConfig, base: str) -> "tuple[Model, dict[str, str]]":
    """A diffusers model, beside the data that rewards and judges learn from."""
    from fineq.interop import diffusers
    from fineq.studies.finetune.model import Model

    with inputs.named(f"base={base}"):
        found = diffusers.load(base, config.chain.num_steps, config.precision)
    return Model(found.denoiser, config.data), {"base": found.words}


def _check_shape(base: "Model", data: "Data") -> None:
    made = base.denoiser.module.config.shape  # type: ignore[attr-defined]
    if data.shape != made:
        given = "no images" if data.shape is None else "images of {} x {} x {}".format(*data.shape)
        raise InputError(
            "data.name must be of images of {} x {} x {}, which base makes, but these are ".format(
                *made
            )
            + given
        )
