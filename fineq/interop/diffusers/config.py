"""What config.json says of a UNet2DModel: read where fineq has it, else refused by its name.

What is not named in the file has the default of diffusers 0.42.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fineq.errors import InputError, in_a_line

KIND = "UNet2DModel"
DOWN = {"DownBlock2D": False, "AttnDownBlock2D": True}  # with attention or without
UP = {"UpBlock2D": False, "AttnUpBlock2D": True}
MIDDLE = "UNetMidBlock2D"

# Options of which fineq has these values alone; the first is the default.
FIXED: dict[str, tuple[Any, ...]] = {
    "act_fn": ("silu", "swish"),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "downsample_type": ("conv",),
    "mid_block_scale_factor": (1,),
    "num_class_embeds": (None,),
    "resnet_time_scale_shift": ("default",),
    "time_embedding_type": ("positional",),
    "upsample_type": ("conv",),
}
# Without effect on what a trained network says.
IDLE = ("dropout", "num_train_timesteps")
DEFAULTS: dict[str, Any] = {
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "time_embedding_dim": None,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "mid_block_type": MIDDLE,
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (224, 448, 672, 896),
    "layers_per_block": 2,
    "downsample_padding": 1,
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "add_attention": True,
}


@dataclass(frozen=True)
class Config:
    """A UNet2DModel.

    Attributes:
        shape: (H, W, C) of images.
        channels: at each size of the image, each half of the one before.
        down, up: whether there is attention at that size, on the way down and on the way up.
        middle: whether there is a block between them, and `attentive` whether it has attention.
        layers: ResNet blocks at each size on the way down; one more on the way up.
        padding: (before, after) of a halving convolution.
        head: size of an attention head; None: all channels.
        groups, attention_groups: of group norms in general, and in the middle's attention.
        epsilon: of group norms.
        width: of the vector that tells the time.
        shift: of the waves of time, and `cos_first` their order.
    """

    shape: tuple[int, int, int]
    channels: tuple[int, ...]
    down: tuple[bool, ...]
    up: tuple[bool, ...]
    middle: bool
    attentive: bool
    layers: int
    padding: tuple[int, int]
    head: int | None
    groups: int
    attention_groups: int
    epsilon: float
    width: int
    shift: float
    cos_first: bool


def config_of(given: Mapping[str, Any]) -> Config:
    """The network that a config.json describes.

    Raises:
        InputError: naming what fineq does not have.
    """
    if given.get("_class_name", KIND) != KIND:
        raise InputError(f"_class_name must be {KIND}, got {given['_class_name']}")
    for name, value in given.items():
        if name in FIXED and value not in FIXED[name]:
            raise InputError(f"{name} must be {FIXED[name][0]}, got {value}")
        if not name.startswith("_") and name not in {*FIXED, *DEFAULTS, *IDLE}:
            raise InputError(f"{name} is no option of a {KIND} that fineq knows")
    options = {name: given.get(name, usual) for name, usual in DEFAULTS.items()}
    try:
        return _checked(options)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(
            f"its options have values of another kind than they should ({in_a_line(error)})"
        ) from None


def _checked(o: dict[str, Any]) -> Config:
    channels = tuple(_whole("block_out_channels", c) for c in o["block_out_channels"])
    down = _attentive("down_block_types", o["down_block_types"], DOWN, len(channels))
    up = _attentive("up_block_types", o["up_block_types"], UP, len(channels))
    if o["mid_block_type"] not in (MIDDLE, None):
        raise InputError(f"mid_block_type must be {MIDDLE} or null, got {o['mid_block_type']}")
    if o["in_channels"] != o["out_channels"]:
        raise InputError(
            "out_channels must be in_channels, for a chain needs one number for each of an image, "
            f"got {o['out_channels']} for {o['in_channels']}"
        )
    padding = {0: (0, 1), 1: (1, 1)}.get(o["downsample_padding"])
    if padding is None:
        raise InputError(f"downsample_padding must be 0 or 1, got {o['downsample_padding']}")
    groups = _whole("norm_num_groups", o["norm_num_groups"])
    found = Config(
        (*_size(o["sample_size"], len(channels) - 1), _whole("in_channels", o["in_channels"])),
        channels,
        down,
        up,
        o["mid_block_type"] is not None,
        bool(o["add_attention"]),
        _whole("layers_per_block", o["layers_per_block"]),
        padding,
        None
        if o["attention_head_dim"] is None
        else _whole("attention_head_dim", o["attention_head_dim"]),
        groups,
        _whole("attn_norm_num_groups", o["attn_norm_num_groups"] or groups),
        float(o["norm_eps"]),
        _whole("time_embedding_dim", o["time_embedding_dim"] or 4 * channels[0]),
        float(o["freq_shift"]),
        bool(o["flip_sin_to_cos"]),
    )
    if not found.epsilon > 0:
        raise InputError(f"norm_eps must be above 0, got {found.epsilon}")
    _check_channels(found)
    return found


def _check_channels(config: Config) -> None:
    if config.channels[0] % 2 or config.channels[0] / 2 <= config.shift:
        raise InputError(
            "block_out_channels must begin with an even number above twice freq_shift, for it "
            f"counts the waves of time, got {config.channels[0]}"
        )
    for channels in config.channels:
        if channels % config.groups:
            raise InputError(
                f"block_out_channels must be multiples of norm_num_groups = {config.groups}, "
                f"got {channels}"
            )
        if config.head is not None and channels % config.head:
            raise InputError(
                f"block_out_channels must be multiples of attention_head_dim = {config.head}, "
                f"got {channels}"
            )
    if config.channels[-1] % config.attention_groups:
        raise InputError(
            f"attn_norm_num_groups must divide {config.channels[-1]}, the channels of the middle, "
            f"got {config.attention_groups}"
        )


def _attentive(name: str, given: Any, known: Mapping[str, bool], num: int) -> tuple[bool, ...]:
    for kind in given:
        if kind not in known:
            raise InputError(f"{name} must be of {', '.join(known)}, got {kind}")
    if len(given) != num:
        raise InputError(f"{name} must be as many as block_out_channels, {num}, got {len(given)}")
    return tuple(known[kind] for kind in given)


def _size(given: Any, halvings: int) -> tuple[int, int]:
    if given is None:
        raise InputError("sample_size must be given, for a chain has states of one size")
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2:
        raise InputError(f"sample_size must be one number or (height, width), got {given}")
    height, width = (_whole("sample_size", n) for n in pair)
    if height % 2**halvings or width % 2**halvings:
        raise InputError(
            f"sample_size must be a multiple of {2**halvings}, for the image is halved {halvings} "
            f"times, got {height} x {width}"
        )
    return height, width


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a whole number, at least 1, got {value}")
    return value
