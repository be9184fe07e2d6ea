"""The Tab key in the shells themselves: what they complete is what fineq takes."""

import importlib
import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from fineq.shell.command import COMMANDS
from fineq.shell.commands.words import read
from fineq.shell.completion import COMMAND, Case, script, tree
from fineq.shell.experiments import names
from fineq.studies.area import AREAS, area_of
from tests.shell.test_command import refused

STUDIES = [name for area in AREAS for name in names(area_of(area))]
SHELLS = ("bash", "zsh", "fish")
# In bash a function is called as Tab calls it; fish has a command for that.
ASK = {
    "bash": 'source "$0"; COMP_LINE=$1; COMP_POINT=${#1}; _fineq; printf "%s\\n" "${COMPREPLY[@]}"',
    "fish": "source $argv[1]; complete -C $argv[2]",
}
LINES = [
    ("fineq ru", ["run", "runs"]),
    ("fineq run nlqr/la", ["nlqr/landscape"]),
    ("fineq run nlqr/landscape seed", ["seeds="]),
    ("fineq run nlqr/landscape sweep.law.r", ["sweep.law.radius="]),
    ("fineq run nlqr/landscape profile=s", ["profile=smoke"]),
    ("fineq run nlqr/robustness seeds=3 setting=", ["setting=clear", "setting=printed"]),
    ("fineq run pift kernel=", []),
    ("fineq run nlqr system=m", ["system=matrices"]),
    ("fineq run nlqr experiment=nlqr/ex", ["experiment=nlqr/exact_recovery"]),
    ("fineq run nlqr force=", ["force=true", "force=false"]),
    ("fineq run nlqr/landscape --d", ["--dry-run"]),
    ("fineq runs status=c", ["status=complete"]),
    ("fineq runs study=ntk/dig", ["study=ntk/digits"]),
    ("fineq show ntk/dig", ["ntk/digits"]),
    ("fineq clean cac", ["cache"]),
    ("fineq clean runs --y", ["--yes"]),
    ("fineq reproduce nlqr profile=f", ["profile=full"]),
    ("fineq completion z", ["zsh"]),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    for shell in SHELLS:
        (folder / shell).write_text(script(shell))
    return folder


def found(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    return path


def asked(shell: str, file: Path, line: str) -> list[str]:
    """What a shell proposes behind a line."""
    options = ["--norc", "--noprofile", "-c"] if shell == "bash" else ["--no-config", "-c"]
    words = [found(shell), *options, ASK[shell], str(file), line]
    done = subprocess.run(words, capture_output=True, text=True, cwd=file.parent)
    assert done.stderr == ""
    return [text.partition("\t")[0] for text in done.stdout.splitlines() if text]


@pytest.mark.parametrize(("line", "proposed"), LINES)
def test_bash_proposes_what_fineq_takes(scripts, line, proposed):
    # What stands before = is on the line already, and bash replaces what stands behind it alone.
    behind = [text.partition("=")[2] if "=" in line.split()[-1] else text for text in proposed]
    assert sorted(asked("bash", scripts / "bash", line)) == sorted(behind)


@pytest.mark.parametrize(("line", "proposed"), LINES)
def test_fish_proposes_what_fineq_takes(scripts, line, proposed):
    assert sorted(asked("fish", scripts / "fish", line)) == sorted(proposed)


def test_everything_is_proposed_where_nothing_is_typed(scripts):
    assert {*STUDIES, *AREAS} < {*asked("bash", scripts / "bash", "fineq run ")}
    fields = asked("bash", scripts / "bash", "fineq run nlqr ")
    assert {"seeds=", "system=", "system.lipschitz=", "sweep.system.lipschitz=", "-m"} < {*fields}
    assert {command.name for command in COMMANDS} < {*asked("bash", scripts / "bash", "fineq ")}


def test_a_word_that_begins_with_a_quote_is_completed_in_it(scripts):
    line = "fineq run nlqr 'sweep.law.r"
    assert asked("bash", scripts / "bash", line) == ["sweep.law.radius="]


def pressed(shell: str, file: Path, line: str, awaited: str) -> str:
    """What stands on the terminal once the line was typed with Tab at its end."""
    options = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[shell]
    path = found(shell)
    terminal, inside = pty.openpty()
    about = {"TERM": "dumb", "PS1": "$ ", "HOME": str(file.parent)}
    running = subprocess.Popen(
        ["setsid", "--ctty", path, *options],
        **dict.fromkeys(("stdin", "stdout", "stderr"), inside),
        cwd=file.parent,
        env={**os.environ, **about},
    )
    os.close(inside)
    begin = "autoload -Uz compinit; compinit -u -D; " if shell == "zsh" else ""
    os.write(terminal, f"{begin}source {file}; echo rea''dy\n".encode())
    _read(terminal, "ready\r\n")
    os.write(terminal, f"{line}\t".encode())
    text = _read(terminal, awaited)
    running.kill()
    running.wait()
    os.close(terminal)
    return text


def _read(terminal: int, awaited: str, seconds: float = 20.0) -> str:
    """What the terminal shows until the awaited words are among it, or no more comes."""
    text, end = "", time.monotonic() + seconds
    while awaited not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 4096).decode(errors="replace")
    return text


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("fineq run nlqr/landsc", "nlqr/landscape "),
        ("fineq run nlqr/landscape system.lips", "system.lipschitz="),
        ("fineq run nlqr/robustness setting=pr", "setting=printed "),
    ],
)
def test_the_tab_key_completes_a_word(scripts, shell, line, completed):
    assert completed in pressed(shell, scripts / shell, line, completed)


def test_every_word_that_is_proposed_is_taken(capsys):
    """Each subcommand refuses `nothing=`, and none of the names that are proposed of it."""
    entries = {patterns[0]: found for patterns, found in tree().entries}
    assert tree().over == COMMAND
    assert {"", *(command.name for command in COMMANDS)} == {*entries}
    for command in COMMANDS:
        if command.name not in ("run", "reproduce"):
            assert "does not take nothing=" in refused([command.name, "nothing=1"], capsys)
    for name in ("list", "runs", "show", "compare", "redraw", "clean", "doctor"):
        (words,) = (found for patterns, found in cases(entries[name]) if patterns == ["*"])
        module = importlib.import_module(f"fineq.shell.commands.{name}")
        given = [word for word in words if word.endswith("=")]
        read(name, given, places=(0, 9), fields=module.FIELDS)
        assert {word.removesuffix("=") for word in given} == {*module.FIELDS}


def cases(case: Case | list[str]):
    assert isinstance(case, Case)
    return case.entries
