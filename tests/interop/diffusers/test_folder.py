"""Folders that are no such model, or a damaged or dangerous one, have one sentence."""

import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import flax as with_halves
from safetensors.numpy import load_file, save_file

from fineq.errors import InputError
from fineq.interop.diffusers import load, load_adapters, save_merged
from tests.interop.diffusers.literal import WEIGHTS, written


@pytest.fixture
def folder(tmp_path):
    written(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def least(tmp_path):
    """The smallest of the models."""
    written(tmp_path / "own", "no middle")
    return tmp_path / "own"


def refused(folder, *, num_steps=5):
    with pytest.raises(InputError) as caught:
        load(folder, num_steps)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "_class_name must be UNet2DModel"),
        ({"down_block_types": ["DownBlock2D", "SkipDownBlock2D"]}, "got SkipDownBlock2D"),
        ({"up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]}, "got CrossAttnUpBlock2D"),
        ({"mid_block_type": "UNetMidBlock2DCrossAttn"}, "mid_block_type must be UNetMidBlock2D"),
        ({"time_embedding_type": "fourier"}, "time_embedding_type must be positional"),
        ({"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift must be default"),
        ({"act_fn": "gelu"}, "act_fn must be silu, got gelu"),
        ({"num_class_embeds": 10}, "num_class_embeds must be None, got 10"),
        ({"out_channels": 2}, "out_channels must be in_channels"),
        ({"sample_size": None}, "sample_size must be given"),
        ({"sample_size": 5}, "sample_size must be a multiple of 2"),
        ({"sample_size": "4"}, "sample_size must be"),
        ({"downsample_padding": 2}, "downsample_padding must be 0 or 1, got 2"),
        ({"norm_num_groups": 3}, "must be multiples of norm_num_groups = 3, got 4"),
        ({"attention_head_dim": 3}, "must be multiples of attention_head_dim = 3, got 4"),
        ({"block_out_channels": [4]}, "down_block_types must be as many"),
        ({"block_out_channels": 4}, "values of another kind"),
        ({"layers_per_block": 0}, "layers_per_block must be a whole number, at least 1, got 0"),
        ({"freq_shift": 2}, "an even number above twice freq_shift"),
        ({"dual_cross_attention": True}, "dual_cross_attention is no option"),
        ({"norm_eps": 0}, "norm_eps must be above 0"),
        ({"attn_norm_num_groups": 3}, "attn_norm_num_groups must divide 8"),
    ],
)
def test_other_networks_are_refused_by_name(options, said, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))
    found = refused(folder)
    assert found.startswith(f"{path}: ")
    assert said in found


def test_tensors_that_are_not_the_network_s_are_listed(least):
    tensors = load_file(least / WEIGHTS)
    del tensors["conv_in.bias"]
    tensors["conv_out.weight"] = tensors["conv_out.weight"][:, :2].copy()
    tensors["own.weight"] = np.zeros(2, np.float32)
    tensors["conv_in.weight"][0] = np.nan
    save_file(tensors, least / WEIGHTS)
    said = refused(least)
    for part in (
        "is not of the network that config.json names: it lacks conv_in.bias",
        "has besides own.weight",
        "has in another shape conv_out.weight (1, 2, 3, 3) for (1, 4, 3, 3)",
        "has numbers that are not finite in conv_in.weight",
    ):
        assert part in said


def headed(**more):
    head = {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, **more}
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        headed()[:-4],
        headed(x={"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 8]}),
        headed(y={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}),
        headed(x={"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}),
        struct.pack("<Q", 2**40) + b"{}",
        b"\x80\x04K\x01.",  # a pickle
        b"",
    ],
)
def test_a_file_that_is_cut_off_or_lies_is_refused(content, least):
    (least / WEIGHTS).write_bytes(content)
    assert "is not a file of tensors" in refused(least)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("diffusion_pytorch_model.bin", "by its name a pickle"),
        ("model.PT", "by its name a pickle"),
        ("diffusion_pytorch_model-00001-of-00002.safetensors", "must lie in one file"),
        ("notes.txt", f"has no {WEIGHTS}"),
    ],
)
def test_weights_elsewhere_are_named_and_never_opened(name, said, folder):
    (folder / WEIGHTS).unlink()
    (folder / name).mkdir()  # could not be opened
    assert said in refused(folder)


def test_other_folders_and_texts_are_refused(folder, tmp_path):
    assert "has no config.json of a diffusers model" in refused(tmp_path / "nowhere")
    chain = folder / "scheduler_config.json"
    for text, said in (
        ("{", "is not a file of JSON"),
        ("[]", "must hold options by name"),
        ('{"beta_end": "x"}', "an option has a value of another kind"),
        ('{"beta_schedule": "sigmoid"}', "beta_schedule must be one of"),
    ):
        chain.write_text(text)
        found = refused(folder)
        assert found.startswith(str(chain))
        assert said in found


def test_a_pipeline_s_folder_is_read_and_written_in_its_own_form(tmp_path):
    root = tmp_path / "pipeline"
    written(root / "unet", "no middle")
    (root / "scheduler").mkdir()
    (root / "scheduler" / "scheduler_config.json").write_text('{"num_train_timesteps": 20}')
    (root / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    model = load(root, 5)
    assert model.words.endswith("images of 4 x 4 x 1, linear noise, 5 of 20 steps")
    saved = save_merged(tmp_path / "saved", model)
    names = {path.relative_to(saved).as_posix() for path in saved.rglob("*.*") if path.is_file()}
    assert names == {
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        f"unet/{WEIGHTS}",
    }
    for name, x in load_file(saved / "unet" / WEIGHTS).items():
        np.testing.assert_array_equal(x, load_file(root / "unet" / WEIGHTS)[name])


def test_nothing_is_written_over_or_half(least, tmp_path):
    model = load(least, 5)
    with pytest.raises(InputError, match="own is there already"):
        save_merged(least, model)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_merged(tmp_path / "file" / "inside", model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "own"]


def test_adapters_of_another_model_are_listed(least, tmp_path):
    model = load(least, 5)
    path = tmp_path / "adapters.safetensors"
    save_file({"conv_in.lora_A.weight": np.zeros((2, 1, 3, 3), np.float32)}, path)
    with pytest.raises(InputError, match=r"adapters of this model: it lacks .* and \d+ more"):
        load_adapters(path, model.denoiser)
    save_file({"conv_in.weight": np.zeros(2, np.float32)}, path)
    with pytest.raises(InputError, match="no tensor ends with"):
        load_adapters(path, model.denoiser)


def test_half_precision_is_read(least):

    halves = {k: x.astype(jnp.bfloat16) for k, x in with_halves.load_file(least / WEIGHTS).items()}
    with_halves.save_file(halves, least / WEIGHTS)
    denoiser = load(least, 5).denoiser
    found = denoiser.variables["params"]["conv_in"]["bias"]
    np.testing.assert_array_equal(found, halves["conv_in.bias"].astype(jnp.float32))
