"""Files of tensors: what is none, or lies about what it holds, has one sentence."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from fineq.errors import InputError
from fineq.studies.inputs.tensors import load_tensors, tensors_file


def lying(dtype="F32", shape=(2,), offsets=(0, 8), length=8, **more):
    head = {"x": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}, **more}
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(length)


def test_what_a_file_holds_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(save({"x": x}, {"about": "six numbers"}))
    found = load_tensors(tensors_file("base", str(path)), "a model")
    np.testing.assert_array_equal(found.arrays["x"], x)
    assert found.texts == {"about": "six numbers"}


DAMAGED = {
    "cut off": lying(length=4),
    "longer than it says": lying(length=12),
    "a shape of more bytes": lying(shape=(3,)),
    "a shape beyond all memory": lying(shape=(2**62, 4)),
    "a negative shape": lying(shape=(-2,)),
    "tensors over each other": lying(y={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}),
    "an unknown kind": lying(dtype="Q7"),
    "whole numbers": lying(dtype="I32"),
    "a header beyond the file": struct.pack("<Q", 2**40) + b"{}",
    "no header": struct.pack("<Q", 5) + b"xxxxx",
    "nothing": b"",
    "a pickle": b"\x80\x04K\x01.",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_lies_has_one_sentence(content, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.safetensors is not a model") as caught:
        load_tensors(path, "a model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["bin", "pt", "PTH", "ckpt"])
def test_a_pickle_is_refused_by_its_name_though_there_is_none(suffix):
    with pytest.raises(InputError, match=rf"base=own\.{suffix} is by its name a pickle"):
        tensors_file("base", f"own.{suffix}")
