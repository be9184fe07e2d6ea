"""Images from files that the tests write, read back number by number, and what is refused."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from fineq.errors import InputError, ResourceError
from fineq.studies.inputs import digits, load_images

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (10, 4, 6), dtype=np.uint8)
LABEL = np.arange(10, dtype=np.uint8) % 3


def idx(array, shape=None, code=8, zeros=b"\0\0"):
    shape = array.shape if shape is None else shape
    return zeros + bytes([code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(array)


def written(folder, x=X, label=LABEL, kind="train", pack=False):
    for name, array in ((f"{kind}-images-idx3-ubyte", x), (f"{kind}-labels-idx1-ubyte", label)):
        content = array if isinstance(array, bytes) else idx(array)
        path = folder / (name + ".gz" * pack)
        path.write_bytes(gzip.compress(content) if pack else content)
    return str(folder)


def pictures(folder, arrays, ending=".png"):
    for i, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{i:02}{ending}")
    return str(folder)


def rows_of(found):
    """All images as they were stored, in any order."""
    x = np.concatenate([found.x, found.held_x])
    return sorted(map(bytes, np.round((x + 1) * 127.5).astype(np.uint8)))


def test_digits_are_scikit_learns_and_no_image_is_on_both_sides():
    found = digits(seed=3)
    given = load_digits()
    both = np.concatenate([found.x, found.held_x]) * 8 + 8
    order = np.lexsort(both.T), np.lexsort(given["data"].T)
    np.testing.assert_allclose(both[order[0]], given["data"][order[1]], atol=1e-5)
    labels = np.concatenate([found.label, found.held_label])
    # The images of one class sum to what they did: labels have gone with their images.
    for k in range(10):
        sums = both[labels == k].sum(), given["data"][given["target"] == k].sum()
        np.testing.assert_allclose(*sums, rtol=1e-4)
    assert found.shape == (8, 8, 1)
    assert found.x.dtype == np.float32
    assert found.words == (
        "digits: 1,797 images of 8x8x1, 10 classes, intensities in [0, 16], taken as [-1, 1]; "
        "1437 to train on, 360 held out by seed 3"
    )
    np.testing.assert_array_equal(found.x, digits(seed=3).x)
    assert not np.array_equal(found.x, digits(seed=4).x)


@pytest.mark.parametrize("pack", [False, True])
def test_idx_files_come_back_byte_by_byte(tmp_path, pack):
    found = load_images("data.path", written(tmp_path, pack=pack), share=0.3)
    assert rows_of(found) == sorted(x.tobytes() for x in X)
    labels = np.concatenate([found.label, found.held_label])
    assert sorted(labels) == sorted(LABEL)
    for x, k in zip(found.x, found.label, strict=True):
        row = next(i for i in range(10) if np.allclose((x + 1) * 127.5, X[i].ravel(), atol=1e-3))
        assert LABEL[row] == k
    assert found.shape == (4, 6, 1)
    assert found.words.startswith(f"{tmp_path.name}: 10 images of 4x6x1, 3 classes, intensities in")
    assert found.words.endswith("; 7 to train on, 3 held out by seed 0")


def test_the_sources_own_test_images_are_those_held_out(tmp_path):
    written(tmp_path)
    found = load_images("data.path", written(tmp_path, X[:4], LABEL[:4], "t10k"))
    np.testing.assert_allclose((found.held_x + 1) * 127.5, X[:4].reshape(4, -1), atol=1e-4)
    np.testing.assert_allclose((found.x + 1) * 127.5, X.reshape(10, -1), atol=1e-4)
    np.testing.assert_array_equal(found.held_label, LABEL[:4])
    assert found.words.endswith("; 10 to train on, 4 held out by the source")


def test_pooling_takes_means_of_four(tmp_path):
    written(tmp_path, kind="t10k")
    found = load_images("data.path", written(tmp_path), pool=True)
    x = X.astype(float)
    means = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    np.testing.assert_allclose(found.x, means.reshape(10, -1) / 127.5 - 1, atol=1e-6)
    assert found.shape == (2, 3, 1)
    assert "of 4x6x1, pooled to 2x3x1, " in found.words


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back_byte_by_byte(tmp_path, channels):
    arrays = X if channels == 1 else np.stack([X, X[::-1], 255 - X], axis=-1)
    (tmp_path / "notes.txt").write_text("not a picture")
    found = load_images("data.path", pictures(tmp_path, arrays))
    assert rows_of(found) == sorted(x.tobytes() for x in arrays)
    assert (found.shape, found.label) == ((4, 6, channels), None)


def test_npz_holds_bytes_or_numbers_in_the_range(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, x=X, label=LABEL)
    assert rows_of(load_images("data.path", str(path))) == sorted(x.tobytes() for x in X)
    np.savez(path, x=X[..., None] / 127.5 - 1)
    found = load_images("data.path", str(path))
    assert rows_of(found) == sorted(x.tobytes() for x in X)
    assert found.label is None


HUGE = (60_000, 1000, 1_000_000)
BAD_IDX = {
    "another magic": (idx(X, zeros=b"\x89P"), "is not an IDX file of bytes: it begins with 895008"),
    "floats": (idx(X, code=13), "is not an IDX file of bytes: it begins with 00000d03"),
    "empty": (b"", "is not an IDX file of bytes: it begins with -"),
    "two axes": (idx(X[0]), "must have 3 axes, got 2"),
    "half a header": (idx(X)[:10], "is damaged: it ends within its header"),
    "truncated": (idx(X)[:-1], "takes 240 bytes, and the file holds"),
    "trailing": (idx(X) + b"\0", "takes 240 bytes, and the file holds more"),
    "lying": (idx(X, HUGE), "takes 60,000,000,000,000 bytes, and the file holds at most"),
    "none": (idx(X[:0]), "is empty: its shape is (0, 4, 6)"),
}


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("kind", BAD_IDX)
def test_bad_idx_files_are_refused_in_a_sentence(tmp_path, kind, pack):
    content, sentence = BAD_IDX[kind]
    with pytest.raises(InputError) as caught:
        load_images("data.path", written(tmp_path, content, pack=pack))
    said = str(caught.value)
    assert said.startswith(f"data.path={tmp_path}: train-images-idx3-ubyte")
    assert sentence in said


def test_a_gzip_that_is_cut_or_swells_beyond_memory_is_refused(tmp_path, monkeypatch):
    folder = written(tmp_path, pack=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="is damaged, or not an IDX file"):
        load_images("data.path", folder)
    # A file of 4 MB may unpack to 4 GB: it is the memory that says no, before any is taken.
    path.write_bytes(gzip.compress(idx(X, (4000, 1000, 1000))) + bytes(4_000_000))
    monkeypatch.setattr("fineq.studies.inputs.files.host_share", lambda: 2**30)
    with pytest.raises(ResourceError, match="GiB of memory"):
        load_images("data.path", folder)


def test_counts_and_kinds_that_disagree_are_named(tmp_path):
    with pytest.raises(InputError, match="holds 10 images, but 9 labels"):
        load_images("data.path", written(tmp_path, label=LABEL[:9]))
    written(tmp_path)
    with pytest.raises(InputError, match="must be alike, but are of 4x6x1 and 2x6x1"):
        load_images("data.path", written(tmp_path, X[:, :2], LABEL, "t10k"))


def test_folders_that_hold_no_set_of_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no picture: none of its files ends in \.png"):
        load_images("data.path", str(tmp_path))
    pictures(tmp_path, [X[0], X[1], X[2][:3]])
    with pytest.raises(InputError, match=r"00.png is 6x4 \(L\), and 02.png is 6x3 \(L\)"):
        load_images("data.path", str(tmp_path))
    (tmp_path / "02.png").write_bytes((tmp_path / "01.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"02.png is damaged, or not a picture"):
        load_images("data.path", str(tmp_path))
    Image.fromarray(np.zeros((4, 6, 4), np.uint8)).save(tmp_path / "00.png")
    with pytest.raises(InputError, match=r"00\.png is of kind RGBA: pictures must be grey or RGB"):
        load_images("data.path", str(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"y": X}, "has no array x"),
        ({"x": X[0]}, r"array x must have shape \[N, H, W\], .*, got \(4, 6\)"),
        ({"x": X / 255 * 3}, r"bytes, or numbers from -1 to 1, but they lie in \[0"),
        ({"x": np.full((3, 2, 2), np.nan)}, "array x must be finite"),
        ({"x": X, "label": LABEL[:3]}, "a whole number from 0 for each of 10 images"),
        ({"x": X, "label": LABEL - 0.5}, "a whole number from 0 for each of 10 images"),
        ({"x": X[:1]}, "a share of 0.2 of 1 image holds out 1 and leaves 0"),
    ],
)
def test_bad_npz_files_are_refused_in_a_sentence(tmp_path, arrays, sentence):
    path = tmp_path / "images.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=sentence):
        load_images("data.path", str(path))


def test_odd_images_cannot_be_halved_and_nothing_is_no_source(tmp_path):
    with pytest.raises(InputError, match="images of 3x6x1 cannot be halved"):
        load_images("data.path", written(tmp_path, X[:, :3]), pool=True)
    with pytest.raises(InputError, match="there is no such file"):
        load_images("data.path", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="a share of 1 of 1,797 images"):
        digits(share=1)
