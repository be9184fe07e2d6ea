"""A UNet2DModel in NumPy, written after its definition in loops and sums: the truth of the tests.

Images are `[B, C, H, W]`. Tensors are drawn where they are first asked for, by the name and in the
shape that PyTorch's modules give them.
"""

import json
from typing import Any

import numpy as np
from safetensors.numpy import save_file


class Drawn:
    """Random tensors by name."""

    def __init__(self, seed: int):
        self.rng, self.tensors = np.random.default_rng(seed), {}

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        if name not in self.tensors:
            size = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.5
            self.tensors[name] = self.rng.normal(size=shape, scale=size).astype(np.float32)
        assert self.tensors[name].shape == shape
        return self.tensors[name].astype(np.float64)


def silu(x):
    return x / (1 + np.exp(-x))


def conv(p, name, x, out, size=3, stride=1, pad=((1, 1), (1, 1))):
    w, b = p(f"{name}.weight", out, x.shape[1], size, size), p(f"{name}.bias", out)
    x = np.pad(x, ((0, 0), (0, 0), *pad))
    height, width = ((n - size) // stride + 1 for n in x.shape[2:])
    y = np.zeros((len(x), out, height, width)) + b[:, None, None]
    for i, j in np.ndindex(height, width):
        cut = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
        y[:, :, i, j] += np.einsum("bcij,ocij->bo", cut, w)
    return y


def linear(p, name, x, out):
    return x @ p(f"{name}.weight", out, x.shape[-1]).T + p(f"{name}.bias", out)


def group_norm(p, name, x, groups, eps):
    b, c = x.shape[:2]
    parts = x.reshape(b, groups, -1)
    centred = parts - parts.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + eps)
    weight, bias = p(f"{name}.weight", c), p(f"{name}.bias", c)
    return scaled.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]


def resnet(p, name, x, told, out, o):
    h = silu(group_norm(p, f"{name}.norm1", x, o["norm_num_groups"], o["norm_eps"]))
    h = conv(p, f"{name}.conv1", h, out)
    h = h + linear(p, f"{name}.time_emb_proj", silu(told), out)[:, :, None, None]
    h = silu(group_norm(p, f"{name}.norm2", h, o["norm_num_groups"], o["norm_eps"]))
    h = conv(p, f"{name}.conv2", h, out)
    if x.shape[1] != out:
        x = conv(p, f"{name}.conv_shortcut", x, out, 1, pad=((0, 0), (0, 0)))
    return x + h


def attention(p, name, x, o, groups=None):
    b, c, h, w = x.shape
    size = o["attention_head_dim"] or c
    seen = group_norm(p, f"{name}.group_norm", x, groups or o["norm_num_groups"], o["norm_eps"])
    seen = seen.reshape(b, c, h * w).transpose(0, 2, 1)
    q, k, v = (linear(p, f"{name}.{n}", seen, c) for n in ("to_q", "to_k", "to_v"))
    mixed = np.zeros_like(v)
    for head in range(c // size):
        own = slice(head * size, (head + 1) * size)
        for i in range(b):
            weights = np.exp(q[i][:, own] @ k[i][:, own].T / np.sqrt(size))
            mixed[i][:, own] = weights / weights.sum(1, keepdims=True) @ v[i][:, own]
    out = linear(p, f"{name}.to_out.0", mixed, c)
    return x + out.transpose(0, 2, 1).reshape(x.shape)


def embedding(t, size, shift, cos_first):
    half = size // 2
    angles = [[s * 10_000 ** (-i / (half - shift)) for i in range(half)] for s in t]
    sin, cos = np.sin(angles), np.cos(angles)
    return np.concatenate([cos, sin] if cos_first else [sin, cos], axis=1)


def unet(p, o: dict[str, Any], t, x):
    """What the network with options `o` says at steps t `[B]` of images x."""
    channels, last = o["block_out_channels"], len(o["block_out_channels"]) - 1
    width = o["time_embedding_dim"] or 4 * channels[0]
    told = embedding(t, channels[0], o["freq_shift"], o["flip_sin_to_cos"])
    told = linear(p, "time_embedding.linear_1", told, width)
    told = linear(p, "time_embedding.linear_2", silu(told), width)
    x = conv(p, "conv_in", x, channels[0])
    seen = [x]
    for i, kind in enumerate(o["down_block_types"]):
        name = f"down_blocks.{i}"
        for j in range(o["layers_per_block"]):
            x = resnet(p, f"{name}.resnets.{j}", x, told, channels[i], o)
            if kind == "AttnDownBlock2D":
                x = attention(p, f"{name}.attentions.{j}", x, o)
            seen.append(x)
        if i < last:
            pad = ((0, 1), (0, 1)) if o["downsample_padding"] == 0 else ((1, 1), (1, 1))
            x = conv(p, f"{name}.downsamplers.0.conv", x, channels[i], stride=2, pad=pad)
            seen.append(x)
    if o["mid_block_type"]:
        x = resnet(p, "mid_block.resnets.0", x, told, channels[-1], o)
        if o["add_attention"]:
            x = attention(p, "mid_block.attentions.0", x, o, o["attn_norm_num_groups"])
        x = resnet(p, "mid_block.resnets.1", x, told, channels[-1], o)
    for i, kind in enumerate(o["up_block_types"]):
        name, out = f"up_blocks.{i}", channels[last - i]
        for j in range(o["layers_per_block"] + 1):
            x = np.concatenate([x, seen.pop()], axis=1)
            x = resnet(p, f"{name}.resnets.{j}", x, told, out, o)
            if kind == "AttnUpBlock2D":
                x = attention(p, f"{name}.attentions.{j}", x, o)
        if i < last:
            x = np.kron(x, np.ones((2, 2)))
            x = conv(p, f"{name}.upsamplers.0.conv", x, out)
    x = silu(group_norm(p, "conv_norm_out", x, o["norm_num_groups"], o["norm_eps"]))
    return conv(p, "conv_out", x, o["out_channels"])


WEIGHTS = "diffusion_pytorch_model.safetensors"
USUAL = {
    "_class_name": "UNet2DModel",
    "sample_size": 4,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [4, 8],
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "mid_block_type": "UNetMidBlock2D",
    "layers_per_block": 1,
    "downsample_padding": 1,
    "attention_head_dim": 4,
    "norm_num_groups": 2,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "add_attention": True,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "time_embedding_dim": None,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "attention": {},
    "the models of Ho et al.": {
        "sample_size": [4, 8],
        "in_channels": 3,
        "out_channels": 3,
        "layers_per_block": 2,
        "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
        "downsample_padding": 0,
        "freq_shift": 1,
        "flip_sin_to_cos": False,
        "attention_head_dim": None,
        "attn_norm_num_groups": 4,
        "norm_eps": 1e-6,
    },
    "no middle": {
        "mid_block_type": None,
        "block_out_channels": [4],
        "down_block_types": ["AttnDownBlock2D"],
        "up_block_types": ["UpBlock2D"],
        "time_embedding_dim": 6,
    },
    "no attention in the middle": {"add_attention": False},
}


def shape(o):
    """(C, H, W)."""
    size = o["sample_size"]
    return (o["in_channels"], *(size if isinstance(size, list) else (size, size)))


def written(folder, name="attention", seed=0, chain=None, **options):
    """A folder of the model with the options of that name, its options and its tensors."""
    o, p = {**USUAL, **OPTIONS[name], **options}, Drawn(seed)
    unet(p, o, np.array([3.0]), np.zeros((1, *shape(o))))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(o))
    save_file(p.tensors, folder / WEIGHTS)
    if chain is not None:
        (folder / "scheduler_config.json").write_text(json.dumps(chain))
    return o, p
