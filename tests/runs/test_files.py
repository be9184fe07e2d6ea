"""Writing is all or nothing, errors of the disk are sentences, JSON is strict."""

import errno
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fineq.errors import InputError, ResourceError
from fineq.runs import files


def test_written_file_has_the_content_and_its_digest(tmp_path: Path):
    path = tmp_path / "a.bin"
    content = os.urandom(100_000)
    assert files.write_atomic(path, content) == hashlib.sha256(content).hexdigest()
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call, code):
    path = tmp_path / "a.bin"
    files.write_atomic(path, b"old")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(ResourceError, match="disk is full") as caught:
        files.write_atomic(path, b"new" * 1000)
    assert caught.value.exit_code == 4
    assert "a.bin" in str(caught.value)
    assert "lower seeds=" in str(caught.value)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


LIMITED = """
import os, resource, sys
from pathlib import Path
from fineq.errors import ResourceError
from fineq.runs.files import write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_atomic(Path(sys.argv[1]) / "a.bin", bytes(100_000))
except ResourceError as error:
    print(error, os.listdir(sys.argv[1]))
"""


def test_a_real_limit_of_the_system_is_a_resource_error(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "disk is full" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_a_write_in_pieces_is_completed(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda fd, data: real(fd, bytes(data[:7])))
    files.write_atomic(tmp_path / "a.bin", b"0123456789" * 3)
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789" * 3


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_refuses_is_bad_input(tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "open", fail)
    with pytest.raises(InputError, match="cannot write"):
        files.write_atomic(tmp_path / "a", b"x")


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_what_the_system_fails_at_is_a_resource_error(tmp_path, monkeypatch, call, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(ResourceError, match=os.strerror(code).lower()) as caught:
        files.write_atomic(tmp_path / "a", b"x")
    monkeypatch.undo()
    assert str(tmp_path / "a") in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_that_cannot_flush_is_written_all_the_same(tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", fail)
    files.write_atomic(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_link_laid_where_a_file_is_composed_leads_nowhere(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f".a.{os.getpid()}.part").symlink_to(elsewhere)
    files.write_atomic(tmp_path / "run" / "a", b"x")
    assert elsewhere.read_text() == "kept"
    assert os.listdir(tmp_path / "run") == ["a"]


def test_a_folder_in_place_of_a_file_is_bad_input(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        files.write_atomic(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == ["a"]


def test_output_below_a_file_is_not_writable(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        files.check_writable(tmp_path / "file" / "deep" / "outputs")


def test_output_without_permission_is_not_writable(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="not writable"):
        files.check_writable(tmp_path / "new" / "outputs")
    assert not (tmp_path / "new").exists()


def test_json_is_strict_and_non_finite_numbers_are_null():
    value = {"a": [math.nan, math.inf, np.float32(-np.inf)], "b": np.int64(3), "c": np.arange(2.0)}
    content = files.strict_json({**value, "d": True, "e": None, "f": "ℓ"})
    assert files.read_json(content) == {
        "a": [None, None, None],
        "b": 3,
        "c": [0.0, 1.0],
        "d": True,
        "e": None,
        "f": "ℓ",
    }


NESTED = ["[" * 100_000, "[" * 101 + "]" * 101, '{"a":' * 101 + "1" + "}" * 101]


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "[-Infinity]", '{"a": 1', "", *NESTED])
def test_what_is_not_strict_json_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        files.read_json(text.encode())


def test_a_hundred_levels_of_nesting_are_read():
    assert files.read_json(b"[" * 100 + b"]" * 100) is not None


@pytest.mark.parametrize("value", [0.1, 1e-300, 1 / 3, 5e-324, 123456789.123456789])
def test_numbers_survive_json_exactly(value):
    assert json.loads(files.strict_json([value]))[0] == value


def test_objects_without_a_plain_form_are_refused():
    with pytest.raises(TypeError, match="object"):
        files.plain({"a": object()})
