"""A `UNet2DModel` of diffusers, fine-tuned by all that `fineq.finetune` has, and given back.

    model = load("my-model", num_steps=50)
    tuning = finetune.make_tuning(model.denoiser, reward, beta=0.3)
    found = fineq.solve(tuning, finetune.PolicyIteration(), num_steps=200, key=key)
    save_merged("tuned", model, found.value)

Neither PyTorch nor diffusers is needed. States are flat, and list an image row by row with its
channels last.
"""

from fineq.interop.diffusers.config import Config, config_of
from fineq.interop.diffusers.folder import (
    Pretrained,
    adapters_bytes,
    is_theirs,
    load,
    load_adapters,
    save_merged,
    weights_bytes,
)
from fineq.interop.diffusers.network import UNet2D

__all__ = [
    "Config",
    "Pretrained",
    "UNet2D",
    "adapters_bytes",
    "config_of",
    "is_theirs",
    "load",
    "load_adapters",
    "save_merged",
    "weights_bytes",
]
