"""Checkpoints come back bit for bit, or not at all."""

import errno
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import ResourceError
from fineq.runs.checkpoint import Checkpoints


class Tree(NamedTuple):
    weights: Any
    key: Any
    count: Any
    nothing: Any
    parts: dict[str, Any]


@pytest.fixture
def tree() -> Tree:
    return Tree(
        weights=np.linspace(-1, 1, 12).reshape(3, 4),
        key=jax.random.split(jax.random.key(3)),
        count=np.asarray(2**40),
        nothing=np.zeros((0, 3), np.float32),
        parts={"half": jnp.asarray([0.1, np.inf, np.nan], jnp.bfloat16), "flag": np.array([True])},
    )


def abstract(tree: Any) -> Any:
    return jax.eval_shape(lambda: jax.tree.map(jnp.asarray, tree))


def assert_same(read: Any, tree: Any) -> None:
    assert jax.tree.structure(read) == jax.tree.structure(tree)
    for a, b in zip(jax.tree.leaves(read), jax.tree.leaves(tree), strict=True):
        assert a.dtype == b.dtype
        if jnp.issubdtype(b.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def largest_file(folder: Path) -> Path:
    return max(folder.rglob("d/*"), key=lambda path: path.stat().st_size)


def test_nothing_is_kept_and_no_folder_made_before_the_first_save(tmp_path: Path, tree: Tree):
    store = Checkpoints(tmp_path / "checkpoints")
    assert store.load("run", tree) is None
    assert not (tmp_path / "checkpoints").exists()


def test_round_trip_is_bitwise_in_another_process_view(tmp_path: Path, tree: Tree):
    Checkpoints(tmp_path).save("run", tree)
    assert_same(Checkpoints(tmp_path).load("run", abstract(tree)), tree)


def test_the_last_save_under_a_name_counts_and_names_are_separate(tmp_path: Path, tree: Tree):
    store = Checkpoints(tmp_path)
    for count in (1, 2, 3):
        store.save("a", tree._replace(count=np.asarray(count)))
    store.save("b", tree._replace(count=np.asarray(7)))
    read = {name: store.load(name, tree) or tree for name in ("a", "b")}
    assert {name: int(kept.count) for name, kept in read.items()} == {"a": 3, "b": 7}
    assert len([path for path in (tmp_path / "a").iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped", "removed", "emptied"])
def test_a_damaged_checkpoint_is_named_discarded_and_never_read(
    tmp_path: Path, tree: Tree, damage: str
):
    # Large enough to lie in a file of its own; random bytes do not compress.
    tree = tree._replace(weights=np.random.default_rng(0).normal(size=4000))
    Checkpoints(tmp_path).save("run", tree)
    path = largest_file(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    else:
        content = content[: {"truncated": len(content) // 2}.get(damage, 0)]
    path.unlink() if damage == "removed" else path.write_bytes(content)

    said: list[str] = []
    store = Checkpoints(tmp_path, said.append)
    assert store.load("run", tree) is None
    assert len(said) == 1
    assert str(tmp_path / "run" / "1") in said[0]
    assert not (tmp_path / "run" / "1").exists()
    store.save("run", tree)
    assert_same(store.load("run", tree), tree)
    assert len(said) == 1


def test_content_that_reads_well_but_was_not_written_is_refused(tmp_path: Path, tree: Tree):
    store = Checkpoints(tmp_path, lambda message: None)
    meta = {"leaves": [["float64", [3]]], "digest": "of something else"}
    store._write("run", np.ones(3).tobytes(), meta)
    assert store.load("run", np.ones(3)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"weights": np.zeros((4, 3))},
        {"count": np.asarray(1, np.int32)},
        {"parts": {"flag": np.array([True])}},
    ],
    ids=["shape", "dtype", "structure"],
)
def test_a_checkpoint_of_other_shapes_is_not_used(tmp_path: Path, tree: Tree, other: dict):
    Checkpoints(tmp_path).save("run", tree)
    with pytest.warns(RuntimeWarning, match="other shapes"):
        assert Checkpoints(tmp_path).load("run", tree._replace(**other)) is None


def test_an_unfinished_write_is_not_seen(tmp_path: Path, tree: Tree):
    Checkpoints(tmp_path).save("run", tree)
    half = tmp_path / "run" / "2.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "arrays").write_text("half")
    assert_same(Checkpoints(tmp_path).load("run", tree), tree)


def test_a_full_disk_is_a_resource_error_and_keeps_the_last_checkpoint(
    tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
):
    store = Checkpoints(tmp_path)
    store.save("run", tree)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store._manager("run"), "save", full)
    with pytest.raises(ResourceError, match="no space left") as caught:
        store.save("run", tree._replace(count=np.asarray(0)))
    assert caught.value.exit_code == 4
    assert_same(Checkpoints(tmp_path).load("run", tree), tree)
