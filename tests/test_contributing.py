"""CONTRIBUTING.md is followed literally, section by section, each in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.documented import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = dict(re.findall(r"^## (A \w+)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))
LEFT = shutil.ignore_patterns(".*", "outputs", "site", "__pycache__", "*.egg-info")


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str

    @property
    def parts(self) -> tuple[str, str]:
        """The file that the first line names, and the rest."""
        head, _, rest = self.text.partition("\n")
        return head.removeprefix("# "), rest


def blocks(section: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S)]


def edit(text: str, diff: str) -> str:
    """A text after an edit, whose lines begin with what becomes of them: ' ', '-' or '+'."""
    lines = diff.splitlines()
    old, new = ("\n".join(x[1:] for x in lines if x[0] in kept) for kept in (" -", " +"))
    assert text.count(f"\n{old}") == 1, f"{old!r} stands {text.count(old)} times"
    return text.replace(f"\n{old}", f"\n{new}")


class Written(NamedTuple):
    """What a section had one do: files that changed, and commands still to run."""

    files: list[str]
    commands: list[str]


def write(section: str, root: Path) -> Written:
    """Do to a copy of the repository what the blocks of a section say, but for the commands."""
    done = Written([], [])
    for block in blocks(section):
        if block.language == "sh":
            done.commands.extend(block.text.splitlines())
            continue
        name, rest = block.parts
        path = root / name
        if block.language == "diff":
            path.write_text(edit(path.read_text(), rest))
        else:
            assert not path.exists(), name
            path.write_text(rest)
        done.files.append(name)
    return done


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of what is under version control, more or less."""
    root = tmp_path / "fineq"
    shutil.copytree(ROOT, root, ignore=LEFT, symlinks=True)
    return root


def test_there_are_the_four_recipes():
    assert list(SECTIONS) == ["A method", "A reward", "A system", "A study"]


@pytest.mark.parametrize("section", SECTIONS.values(), ids=list(SECTIONS))
def test_what_is_written_fits_and_is_in_the_house_format(section, copy):
    done = write(section, copy)
    assert done.commands
    python = [name for name in done.files if name.endswith(".py")]
    for words in (["format", "--check"], ["check"]) if python else ():
        said = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", *python],
            cwd=copy,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stdout


def test_an_edit_that_does_not_fit_is_seen():
    assert edit("a\nb\nc\n", " b\n+d") == "a\nb\nd\nc\n"
    with pytest.raises(AssertionError, match="stands 0 times"):
        edit("a\nb\n", " z\n+d")


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS.values(), ids=list(SECTIONS))
def test_its_commands_succeed(section, copy, tmp_path):
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    for command in write(section, copy).commands:
        done = subprocess.run(
            command.replace("python ", f"{sys.executable} ", 1).replace("/tmp/", f"{tmp_path}/"),
            shell=True,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "JAX_COMPILATION_CACHE_DIR": cache},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
