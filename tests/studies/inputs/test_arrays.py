"""Files of arrays: plain ones are read, damaged and hostile ones end in one sentence."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.studies.inputs import load_npz, load_points, regular_file

X = np.random.default_rng(0).normal(size=(50, 2))


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **(arrays or {"x": X}))
    return buffer.getvalue()


def header(shape, dtype="<f8", extra=""):
    """The start of a npy file that declares a shape."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, {extra}}}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text.encode()


def archive(content, name="x.npy", method=zipfile.ZIP_DEFLATED, times=1):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for _ in range(times):
            file.writestr(name, content)
    return buffer.getvalue()


def patched(content, mark, offset, value):
    """Bytes at an offset behind every occurrence of a mark replaced."""
    changed, at = bytearray(content), content.find(mark)
    while at >= 0:
        changed[at + offset : at + offset + len(value)] = value
        at = content.find(mark, at + 1)
    return bytes(changed)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def encrypted():
    return patched(patched(npz(), LOCAL, 6, b"\x01\x00"), CENTRAL, 8, b"\x01\x00")


def of_method(number):
    method = struct.pack("<H", number)
    return patched(patched(npz(), LOCAL, 8, method), CENTRAL, 10, method)


DAMAGED = {
    "empty": (b"", "is not an npz file"),
    "text": (b"x,y\n1,2\n", "is not an npz file"),
    "single array": (header((50, 2)) + X.tobytes(), "it holds a single array"),
    "cut": (npz()[:-40], "is not an npz file"),
    "head cut": (npz()[40:], "is damaged"),
    "deflate stream": (patched(npz(), b"x.npy", 40, b"\xff" * 64), "array x has a damaged"),
    "checksum": (patched(npz(), CENTRAL, 16, b"\0\0\0\0"), "array x has a damaged"),
    "encrypted": (encrypted(), "array x is encrypted"),
    "bzip2": (archive(header((2, 2)) + bytes(32), method=zipfile.ZIP_BZIP2), "is compressed in a"),
    "lzma": (
        archive(header((2, 2)) + bytes(32), method=zipfile.ZIP_LZMA),
        "is compressed in a way",
    ),
    "unknown method": (of_method(97), "is compressed in a way that np.savez does not use"),
    "deflate64": (of_method(9), "is compressed in a way"),
    "version": (patched(npz(), CENTRAL, 6, b"\xff\x00"), "is damaged, or not an npz file"),
    "no array": (archive(b"hello", "readme.txt"), "it holds readme.txt, which is no array"),
    "not npy": (archive(b"hello"), "array x has a damaged header"),
    "future npy": (archive(b"\x93NUMPY\x09\x00" + bytes(64)), "array x has a damaged header"),
    "too long a header": (
        archive(header((2, 2), extra=" " * 20_000) + bytes(32)),
        "array x has a damaged header",
    ),
    "deep header": (archive(header("(" * 3000 + ")" * 3000)), "array x has a damaged header"),
    "code in header": (archive(header("__import__('os')")), "array x has a damaged header"),
    "too large": (archive(header((10**6, 10**6))), "takes 8,000,000,000,000 bytes, and the file"),
    "overflow": (archive(header((2**62, 2**62))), "array x is damaged: its shape"),
    "negative": (archive(header((-2, -2)) + bytes(32)), "is damaged"),
    "too short": (
        archive(header((2, 2)) + bytes(24)),
        "takes 32 bytes, and the file holds no more",
    ),
    "too long": (archive(header((2, 2)) + bytes(40)), "takes 32 bytes, and the file holds no more"),
    "bomb": (
        patched(archive(header((10**6, 10**3))), CENTRAL, 24, struct.pack("<I", 8 * 10**9 % 2**32)),
        "is damaged",
    ),
    "objects": (npz(x=np.array([{"a": 1}], dtype=object)), "must hold real numbers"),
    "complex": (npz(x=X + 1j), "must hold real numbers, got an array of type complex128"),
    "words": (npz(x=np.full((2, 2), "a")), "must hold real numbers, got an array of type <U1"),
    "records": (npz(x=np.zeros(2, [("a", float)])), "must hold real numbers"),
    "truth values": (npz(x=X > 0), "must hold real numbers, got an array of type bool"),
    "times": (npz(x=np.zeros((2, 2), "M8[s]")), "must hold real numbers"),
    "another name": (npz(points=X), "has no array x [S, d]; it has points"),
    "a line": (npz(x=X[:, 0]), "got shape (50,): points on a line have shape [50, 1]"),
    "a number": (npz(x=np.float64(3)), "must hold points of shape [S, d], got shape ()"),
    "three axes": (npz(x=X[None]), "must hold points of shape [S, d], got shape (1, 50, 2)"),
    "no points": (npz(x=X[:0]), "got shape (0, 2)"),
    "no columns": (npz(x=X[:, :0]), "got shape (50, 0)"),
    "NaN": (
        npz(x=np.where(X[3, 1] == X, np.nan, X)),
        "must be finite, but its entry [3, 1] is nan",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_end_in_one_sentence(tmp_path, kind):
    content, said = DAMAGED[kind]
    path = tmp_path / "points.npz"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_points("data.path", str(path))
    assert said in str(caught.value)
    assert str(caught.value).startswith("data.path=")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(40))
def test_any_changed_byte_is_either_refused_or_without_effect(tmp_path, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(npz(x=X[:4], weights=np.full(4, 0.25)))
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    path = tmp_path / "points.npz"
    path.write_bytes(content)
    try:
        found = load_points("data.path", str(path))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either way is right)
    else:  # a time stamp or an attribute of the archive
        np.testing.assert_array_equal(found.x, X[:4])


def test_arrays_named_twice_are_refused(tmp_path):
    path = tmp_path / "twice.npz"
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(archive(header((2, 2)) + bytes(32), times=2))
    with pytest.raises(InputError, match=r"holds x\.npy more than once"):
        load_npz("system.path", str(path))


@pytest.mark.parametrize("dtype", [">f8", ">i4", "<f2", "<u2", "<f4"])
def test_arrays_come_in_the_machines_byte_order(tmp_path, dtype):
    x = np.arange(6).reshape(3, 2).astype(dtype)
    np.savez(tmp_path / "points.npz", x=x)
    found = load_points("data.path", str(tmp_path / "points.npz"))
    np.testing.assert_array_equal(found.x, x)
    assert found.x.dtype.isnative


def test_fortran_order_and_a_name_without_ending_are_read(tmp_path):
    np.savez(tmp_path / "points.npz", x=np.asfortranarray(X), label=np.array(["a", "b"]))
    (tmp_path / "points.npz").rename(tmp_path / "points")
    found = load_points("data.path", str(tmp_path / "points"))
    np.testing.assert_array_equal(found.x, X)
    assert "50 rows, 2 columns" in found.words
    assert found.words.endswith("not read: array label")


def test_options_of_tables_are_refused_for_arrays(tmp_path):
    np.savez(tmp_path / "points.npz", x=X)
    for options in ({"columns": ["x"]}, {"header": True}):
        with pytest.raises(InputError, match="has no effect on an npz file: drop it"):
            load_points("data.path", str(tmp_path / "points.npz"), **options)


def test_more_than_memory_holds_ends_before_anything_is_allocated(tmp_path, monkeypatch):
    np.savez(tmp_path / "points.npz", x=X)
    (tmp_path / "points.csv").write_text("0.5,1.5\n" * 100)
    monkeypatch.setattr("fineq.sweep.memory.host_bytes", lambda: 800)
    with pytest.raises(ResourceError, match=r"array x needs .* GiB of memory"):
        load_points("data.path", str(tmp_path / "points.npz"))
    with pytest.raises(ResourceError, match="more text than memory has room for"):
        load_points("data.path", str(tmp_path / "points.csv"))


def test_pipes_devices_folders_and_long_names_end_in_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    for path, said in (
        (tmp_path / "pipe.csv", "is a pipe or a device"),
        ("/dev/zero", "is a pipe or a device"),
        (tmp_path / "folder.npz", "is a folder"),
        (tmp_path / "loop.npz", "cannot be opened: too many levels of symbolic links"),
        (tmp_path / ("a" * 300), "cannot be opened: file name too long"),
        (tmp_path / "none.npz", "there is no such file"),
        ("a\0b", "cannot be opened: .*embedded null"),
        ("", "there is no such file"),
    ):
        with pytest.raises(InputError, match=said):
            regular_file("data.path", str(path))
        with pytest.raises(InputError, match=said):
            load_points("data.path", str(path))
