"""What README and docs tell people to type works as it is pasted, in any shell."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import NAMES
from fineq.shell.compose import compose
from fineq.shell.options import help_text, parse
from fineq.studies.area import area_of
from tests.documented import PAGES, ROOT, Piece, commands, programs, spans, unquoted

COMMANDS = commands()
STUDIES = [c for c in COMMANDS if c.text.startswith("python -m experiments.")]
INLINE = [s for s in spans() if re.match(r"(?:\w+=\S+ )?(?:python -m|make) ", s.text)]
GUIDE = next(page for page in PAGES if page.name == "extend.md")


def by_place(pieces: list[Piece]) -> Any:
    return pytest.mark.parametrize("piece", pieces, ids=[piece.id for piece in pieces])


def test_pages_have_commands_and_programs():
    assert {piece.page for piece in COMMANDS} == {"README.md", "extend.md"}
    assert len(STUDIES) > 10
    assert len(programs(GUIDE)) >= 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a sweep.b=[1]", "[]"),
        ("a 'sweep.b=[1]' \"c=[2]\"", ""),
        ('a "$HOME"', "$"),
        ("make demo  # why (really?)", ""),
        ("a b=*", "*"),
        ("a > b", ">"),
    ],
)
def test_what_a_shell_reads_as_more_than_itself_is_found(text, found):
    assert unquoted(text) == found


@by_place([*COMMANDS, *(s for s in INLINE if "<" not in s.text)])
def test_commands_need_no_more_quotes(piece):
    assert unquoted(piece.text) == ""


@by_place([s for s in spans() if re.match(r"[a-z_.]+=", s.text) and "..." not in s.text])
def test_settings_within_a_line_can_be_pasted(piece):
    words = re.sub(r"smoke\|quick\|full", "", piece.text)
    assert unquoted(words) == "", f"quote the brackets of {piece.text}"


@by_place(COMMANDS)
def test_zsh_reads_the_words_that_are_meant(piece):
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("zsh is not installed")
    script = "setopt interactive_comments\nprint -rN -- " + piece.text
    done = subprocess.run([zsh, "-fc", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split("\0")[:-1] == piece.words


@by_place([p for p in [*COMMANDS, *INLINE] if p.text.startswith("make ")])
def test_make_knows_the_target(piece):
    _, target, *rest = piece.words
    assert not rest
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@by_place([p for p in COMMANDS if p.text.startswith(". ")])
def test_the_environment_that_is_entered_is_the_one_that_make_builds(piece):
    folder = Path(piece.words[1]).parent.parent
    assert f"VENV        := {folder}" in (ROOT / "Makefile").read_text()


@by_place([s for s in INLINE if "python -m" in s.text])
def test_modules_named_within_a_line_are_there(piece):
    words = piece.text.partition("python -m ")[2].split()
    package, _, area = words[0].partition(".")
    assert package in ("benchmarks", "experiments")
    if package == "benchmarks":
        assert {*words[1:]} - {"quick"} <= {*NAMES}
    else:
        assert importlib.util.find_spec(f"experiments.{area}")
        assert area_of(area).name == area


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> Path:
    """A folder in which every Python program of the guide has been run or kept, in order."""
    folder = tmp_path_factory.mktemp("guided")
    for program in programs(GUIDE):
        named = re.match(r"# (\w+\.py)\n", program.text)
        path = folder / (named.group(1) if named else "program.py")
        path.write_text(program.text)
        done = subprocess.run([sys.executable, path], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{program.id}: {done.stderr}"
    return folder


def options_of(piece: Piece) -> tuple[Any, Any]:
    """The area of a command, and its words taken apart."""
    area = area_of(piece.words[2].removeprefix("experiments."))
    return area, parse(area, piece.words[3:])


@by_place(STUDIES)
def test_the_command_composes_and_what_it_names_loads(piece, guided, monkeypatch):
    monkeypatch.chdir(guided)
    monkeypatch.syspath_prepend(str(guided))
    area, options = options_of(piece)
    if options.help:
        assert "fields:" in help_text(area)
        return
    area.begin(compose(area, options.overrides))


@pytest.mark.slow
@by_place([piece for piece in STUDIES if "--help" not in piece.text])
def test_the_command_runs_at_smoke_size(piece, guided, tmp_path):
    size = ["profile=smoke", "seeds=3", "quiet=true", f"output={tmp_path}"]
    names = {word.partition("=")[0] for word in size}
    words = [word for word in piece.words[1:] if word.partition("=")[0] not in names]
    done = subprocess.run(
        [sys.executable, *words, *size],
        cwd=guided,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    # A run that goes on from another makes that one too.
    summaries = list(tmp_path.glob("*/*/*/summary.json"))
    assert summaries
    assert all(summary.with_name("data.nc").exists() for summary in summaries)


def test_configuration_files_name_the_command_that_runs_them():
    for path in sorted((ROOT / "configs" / "experiment").glob("*/*.yaml")):
        name = f"{path.parent.name}/{path.stem}"
        text = path.read_text()
        assert f"\n# python -m experiments.{path.parent.name} experiment={name}" in text, name
