"""Networks of a denoising diffusion model, Flax modules over flat states.

All are called as `module.apply(variables, s, x, label)`: s `[B]` says the time, or `[1]` that of
all, x `[B, d]`, label `[B]` of whole numbers, or None for no class; they return `[B, d]`. The entry
`num_classes` of a label also means no class. The last layer starts at zero. Parameters and
arithmetic have the `dtype` of the module.

    a perceptron with time features     `MLP`
    a U-Net on images `[H, W, C]`       `UNet`
    their layers                        `Conv`, `Condition`, `sincos`
    one that computes in bfloat16       `rounded`
"""

from fineq.ddpm.networks.conv import Conv, convolve
from fineq.ddpm.networks.embedding import Condition, sincos
from fineq.ddpm.networks.mlp import MLP
from fineq.ddpm.networks.rounded import Rounded, rounded
from fineq.ddpm.networks.unet import UNet

__all__ = ["MLP", "Condition", "Conv", "Rounded", "UNet", "convolve", "rounded", "sincos"]
