"""Checkpoints come back bit for bit, or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.runs import files
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
    assert sorted(os.listdir(tmp_path)) == ["a.checkpoint", "b.checkpoint"]


def spoiled(content: bytes, how: str) -> bytes:
    head, _, body = content.partition(b"\n")
    middle = len(content) // 2
    return {
        "truncated": content[:middle],
        "emptied": b"",
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "longer": content + b"x",
        "headless": body,
        "nested": b"[" * 100_000 + b"\n" + body,
        "no object": b"3\n" + body,
        "other dtype": head.replace(b"int64", b"uint64") + b"\n" + body,
    }[how]


@pytest.mark.parametrize(
    "how",
    ["truncated", "emptied", "flipped", "longer", "headless", "nested", "no object", "other dtype"],
)
def test_a_damaged_checkpoint_is_named_discarded_and_never_read(
    tmp_path: Path, tree: Tree, how: str
):
    tree = tree._replace(weights=np.random.default_rng(0).normal(size=4000))
    Checkpoints(tmp_path).save("run", tree)
    (path,) = tmp_path.iterdir()
    path.write_bytes(spoiled(path.read_bytes(), how))

    said: list[str] = []
    store = Checkpoints(tmp_path, notify=said.append)
    assert store.load("run", tree) is None
    assert len(said) == 1
    assert str(path) in said[0]
    assert os.listdir(tmp_path) == []
    store.save("run", tree)
    assert_same(store.load("run", tree), tree)
    assert len(said) == 1


def test_a_folder_in_place_of_a_checkpoint_is_named(tmp_path: Path, tree: Tree):
    (tmp_path / "run.checkpoint").mkdir()
    said: list[str] = []
    assert Checkpoints(tmp_path, notify=said.append).load("run", tree) is None
    assert "is discarded" in said[0]
    assert "cannot write" in said[1]
    with pytest.raises(InputError, match="cannot write"):
        Checkpoints(tmp_path).save("run", tree)


def test_a_checkpoint_of_another_run_is_not_used(tmp_path: Path, tree: Tree):
    Checkpoints(tmp_path, "0123456789ab").save("run", tree)
    with pytest.warns(RuntimeWarning, match="belongs to another run"):
        assert Checkpoints(tmp_path, "ba9876543210").load("run", tree) is None


def test_names_with_any_sign_are_files_of_this_folder(tmp_path: Path, tree: Tree):
    store = Checkpoints(tmp_path / "inside")
    for name in ("a/b", "../c", "law, n = 3"):
        store.save(name, tree)
        assert_same(store.load(name, tree), tree)
    assert len(os.listdir(tmp_path / "inside")) == 3
    assert os.listdir(tmp_path) == ["inside"]


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
    (tmp_path / ".run.checkpoint.4242.part").write_text("half")
    assert_same(Checkpoints(tmp_path).load("run", tree), tree)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, ResourceError) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)),
        *((code, ResourceError) for code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)),
        *((code, InputError) for code in (errno.EACCES, errno.EROFS)),
    ],
)
def test_a_disk_that_refuses_is_one_sentence_and_keeps_the_last_checkpoint(
    tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, capfd, code: int, kind: type
):
    store = Checkpoints(tmp_path)
    store.save("run", tree)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "write", refuse)
    with pytest.raises(kind) as caught:
        store.save("run", tree._replace(count=np.asarray(0)))
    monkeypatch.undo()
    assert "run.checkpoint" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert_same(Checkpoints(tmp_path).load("run", tree), tree)


LIMITED = """
import resource, sys
import numpy as np
from fineq.errors import ResourceError
from fineq.runs.checkpoint import Checkpoints
store = Checkpoints(sys.argv[1])
store.save("run", np.zeros(1000))
kind = getattr(resource, sys.argv[2])
hard = resource.getrlimit(kind)[1]
resource.setrlimit(kind, (int(sys.argv[3]), hard))
try:
    store.save("run", np.ones(100_000))
except ResourceError as error:
    print(error)
resource.setrlimit(kind, (hard, hard))
print(store.load("run", np.zeros(1000)).sum())
"""


@pytest.mark.parametrize(("limit", "value"), [("RLIMIT_FSIZE", 50_000), ("RLIMIT_NOFILE", 0)])
def test_real_limits_of_the_system_end_in_one_sentence(tmp_path: Path, limit: str, value: int):
    """A file may not grow, or none may be opened: nothing on standard error, nothing lost."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path), limit, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, kept = done.stdout.splitlines()
    assert "run.checkpoint" in said
    assert kept == "0.0"
    assert done.stderr == ""
