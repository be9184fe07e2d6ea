"""What README and docs tell people to type works as it is pasted, in any shell."""

import importlib
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import NAMES
from fineq.shell.command import COMMANDS as KNOWN
from fineq.shell.commands.run import named
from fineq.shell.commands.words import read
from fineq.shell.compose import compose
from fineq.shell.options import help_text, parse
from fineq.studies.area import AREAS, area_of
from tests.documented import (
    NOTEBOOKS,
    PAGES,
    ROOT,
    Piece,
    commands,
    programs,
    spans,
    unquoted,
)

COMMANDS = commands()
STUDIES = [c for c in COMMANDS if c.text.startswith("fineq run ")]
INLINE = [s for s in spans() if re.match(r"(?:\w+=\S+ )?(?:python -m|make|fineq) ", s.text)]
TELLING = ("command", "extend", "start", "sweeps")
GUIDE = next(page for page in PAGES if page.name == "extend.md")


def by_place(pieces: list[Piece]) -> Any:
    return pytest.mark.parametrize("piece", pieces, ids=[piece.id for piece in pieces])


def test_pages_have_commands_and_programs():
    assert {piece.page for piece in COMMANDS} == {"README.md", *(f"{x}.md" for x in TELLING)}
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
    locked = {f"EXTRA={path.stem.partition('-')[2]}" for path in ROOT.glob("requirements-*.lock")}
    assert {*rest} <= locked
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@by_place([p for p in COMMANDS if p.text.startswith(". ")])
def test_the_environment_that_is_entered_is_the_one_that_make_builds(piece):
    folder = Path(piece.words[1]).parent.parent
    assert f"VENV        := {folder}" in (ROOT / "Makefile").read_text()


@by_place([p for p in [*COMMANDS, *INLINE] if p.text.startswith("fineq ")])
def test_fineq_takes_the_command(piece):
    if re.search("[<A-Z|]", piece.text):
        return  # words that stand for others: AREA/NAME, <study>, bash|zsh
    name, *words = piece.words[1:]
    assert name in {command.name for command in KNOWN}
    if name == "run" and words:
        area, arguments = named(words)
        options = parse(area_of(area), arguments)
        if not (options.help or options.multirun):
            compose(area_of(area), options.overrides)
    elif words:
        module = importlib.import_module(f"fineq.shell.commands.{name}")
        fields, switches = (getattr(module, part, ()) for part in ("FIELDS", "SWITCHES"))
        given = read(name, words, places=(0, 3), fields=fields, switches=switches)
        if name in ("list", "reproduce"):
            assert {*given.places} <= {*AREAS}


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


def follow(page: Path, folder: Path) -> None:
    """Run the Python programs of a page in a folder as one pastes them: in order, in one session.

    What a page tells people to keep as a module is kept, and imported.
    """
    session = []
    for program in programs(page):
        named = re.match(r"# (\w+)\.py\n", program.text)
        if named:
            (folder / f"{named[1]}.py").write_text(program.text)
        session.append(f"import {named[1]}\n" if named else program.text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input="\n".join(session),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{page.name}: {done.stderr}"


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> Path:
    """A folder in which the guide has been followed."""
    folder = tmp_path_factory.mktemp("guided")
    follow(GUIDE, folder)
    return folder


# What is compiled takes its time. The guide is followed for its commands, and the page of others'
# models where there is one (tests/interop).
QUICK = {"sweeps.md"}
ELSEWHERE = {GUIDE.name, "own_model.md"}
FOLLOWED = [
    pytest.param(page, id=page.stem, marks=() if page.name in QUICK else pytest.mark.slow)
    for page in (*PAGES, *NOTEBOOKS)
    if programs(page) and page.name not in ELSEWHERE
]


@pytest.mark.parametrize("page", FOLLOWED)
def test_programs_run_as_they_are_pasted(page, tmp_path):
    follow(page, tmp_path)


def jobs(piece: Piece) -> tuple[str, list[list[str]]]:
    """The area of a command, and words of each run: with -m one for every value of a list."""
    area, words = named(piece.words[2:])
    if "-m" not in words:
        return area, [words]
    choices = []
    for word in words:
        field, _, values = word.partition("=")
        choices.append([f"{field}={value}" for value in values.split(",")] if values else [word])
    return area, [[word for word in job if word != "-m"] for job in itertools.product(*choices)]


@by_place(STUDIES)
def test_the_command_composes_and_what_it_names_loads(piece, guided, monkeypatch):
    monkeypatch.chdir(guided)
    monkeypatch.syspath_prepend(str(guided))
    name, runs = jobs(piece)
    area = area_of(name)
    for words in runs:
        options = parse(area, words)
        if options.help:
            assert "fields:" in help_text(area)
        else:
            area.begin(compose(area, options.overrides))


@pytest.mark.slow
@by_place([p for p in STUDIES if p.page != "command.md" and "--help" not in p.text])
def test_the_command_runs_at_smoke_size(piece, guided, tmp_path):
    size = ["profile=smoke", "seeds=3", "quiet=true", f"output={tmp_path}"]
    names = {word.partition("=")[0] for word in size}
    words = [word for word in piece.words[1:] if word.partition("=")[0] not in names]
    done = subprocess.run(
        [sys.executable, "-m", "fineq", *words, *size],
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
