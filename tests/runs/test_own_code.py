"""What a user brings is identified by all of its sources, however the function is wrapped."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fineq.errors import InputError
from fineq.runs.own_code import modules_of, own_code

# A reward in a package of the user's, reached by every kind of import.
SOURCES = {
    "brought.py": """
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

import helper
from parts import inner
from parts.deep import constant as renamed


def plain(y):
    return helper.scale * jnp.sum(y) + inner.shift + renamed


def late(y):
    from only_when_called import value

    return value * jnp.sum(y)


def decorate(function):
    @functools.wraps(function)
    def wrapped(y):
        return function(y)

    return wrapped


class Model:
    def __call__(self, y):
        return plain(y)

    def method(self, y):
        return plain(y)


def closure():
    inside = plain
    return lambda y: inside(y)


partial = functools.partial(plain)
decorated = decorate(plain)
jitted = jax.jit(plain)
custom = jax.custom_jvp(plain)
custom_vjp = jax.custom_vjp(plain)
called = Model()
bound = Model().method
closed = closure()
vectorised = np.vectorize(plain)
ufunc = np.sin
""",
    "helper.py": "scale = 2.0\n",
    "parts/__init__.py": "from . import aside\n",
    "parts/inner.py": "from .aside import shift\nfrom .deep import other\n",
    "parts/aside.py": "shift = 1.0\n",
    "parts/deep/__init__.py": "from .. import aside\nconstant = 3.0\nother = 1\n",
    "parts/unused.py": "x = 1\n",
    "only_when_called.py": "import helper\nvalue = 1.0\n",
    "stranger.py": "x = 1\n",
}
ALL = {
    "brought",
    "helper",
    "parts",
    "parts.inner",
    "parts.aside",
    "parts.deep",
    "only_when_called",
}
KINDS = ["plain", "late", "partial", "decorated", "jitted", "custom", "custom_vjp", "called"]
KINDS += ["bound", "closed", "vectorised", "ufunc"]


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a user's modules, imported anew."""
    for name, text in SOURCES.items():
        path = tmp_path / "users" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "users")
    forget()
    yield tmp_path / "users"
    forget()


def forget() -> None:
    """As in a new process."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ALL]:
        del sys.modules[name]
    importlib.invalidate_caches()


def code_of(name: str) -> dict[str, str]:
    module = importlib.import_module("brought")
    return own_code(f"brought:{name}", getattr(module, name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_of_the_users_counts_however_the_function_is_wrapped(users, kind):
    assert set(code_of(kind)) == ALL


@pytest.mark.parametrize("file", ["brought.py", "helper.py", "parts/aside.py", "parts/__init__.py"])
@pytest.mark.parametrize("kind", ["partial", "custom"])
def test_an_edit_in_any_of_them_changes_the_digest_of_that_one(users, kind, file):
    before = code_of(kind)
    (users / file).write_text(SOURCES[file] + "# edited\n")
    forget()
    after = code_of(kind)
    module = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    assert {name for name in ALL if before[name] != after[name]} == {module}


def test_the_place_does_not_count(users, tmp_path, monkeypatch):
    before = code_of("partial")
    forget()
    moved = users.rename(tmp_path / "moved")
    monkeypatch.syspath_prepend(moved)
    assert code_of("partial") == before


def test_what_was_imported_counts_not_what_the_file_has_become(users):
    """In a long multirun the file may be edited; the old code runs on."""
    before = code_of("plain")
    (users / "brought.py").write_text(SOURCES["brought.py"] + "# edited\n")
    assert code_of("plain") == before


def test_a_function_of_another_module_brings_that_module(users):
    (users / "brought.py").write_text("import stranger\nfunction = stranger.make()\n")
    (users / "stranger.py").write_text(
        "import helper\ndef make():\n    def inside(y): return helper.scale\n    return inside\n"
    )
    sys.modules.pop("stranger", None)
    assert set(code_of("function")) == {"brought", "stranger", "helper"}
    del sys.modules["stranger"]


def test_an_object_that_makes_up_attributes_ends(users):
    (users / "brought.py").write_text(
        "from unittest.mock import MagicMock\n"
        "class Endless:\n"
        "    def __getattr__(self, name): return Endless()\n"
        "    def __call__(self, y): return 0.0\n"
        "function, mock = Endless(), MagicMock()\n"
    )
    assert set(code_of("function")) == set(code_of("mock")) == {"brought"}


def test_modules_in_an_archive_count(users, tmp_path, monkeypatch):
    import zipfile

    with zipfile.ZipFile(tmp_path / "brought.zip", "w") as archive:
        archive.writestr("zipped_reward.py", "def reward(y): return 0.0\n")
    monkeypatch.syspath_prepend(tmp_path / "brought.zip")
    assert set(own_code("zipped_reward:reward")) == {"zipped_reward"}
    sys.modules.pop("zipped_reward", None)


def test_a_namespace_package_is_gone_through(users):
    (users / "spread").mkdir()
    (users / "spread" / "one.py").write_text("x = 1\n")
    (users / "brought.py").write_text("import spread.one\ndef f(y): return spread.one.x\n")
    assert set(code_of("f")) == {"brought", "spread.one"}
    for name in ("spread", "spread.one"):
        sys.modules.pop(name, None)


def test_an_installed_function_counts_by_its_own_module():
    import jax.numpy as jnp

    assert set(own_code("math:exp")) <= {"math"}  # in some builds it has no file
    assert set(own_code("jax.numpy:tanh", jnp.tanh)) == {"jax.numpy"}


def test_a_source_that_is_gone_is_said(users):
    importlib.import_module("brought")
    (users / "helper.py").unlink()
    with pytest.raises(InputError, match="cannot read the source of helper"):
        code_of("plain")


def test_modules_of_what_is_no_function():
    assert modules_of(None) == set()
    assert "builtins" in modules_of(3)
