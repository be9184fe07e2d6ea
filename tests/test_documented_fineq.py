"""Every `fineq ...` that README and docs tell people to type is one that fineq takes."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fineq.shell.command import COMMANDS
from fineq.shell.commands.run import named
from fineq.shell.commands.words import read
from fineq.shell.compose import compose
from fineq.shell.options import parse
from fineq.studies.area import area_of
from tests.documented import PAGES, ROOT, Piece, blocks, spans, unquoted

BLOCKS = [
    Piece(line, page.name, number)
    for page in PAGES
    for block in blocks(page)
    for number, line in block
    if line.startswith("fineq ")
]
INLINE = [piece for piece in spans() if re.match(r"fineq [a-z]+ ", f"{piece.text} ")]
KNOWN = {command.name: command for command in COMMANDS}
PAGE = [piece for piece in BLOCKS if piece.page == "command.md"]
SHOWN = re.compile(r"[<A-Z|]")  # in words that stand for others: AREA/NAME, <study>, bash|zsh


def words_of(piece: Piece) -> list[str]:
    """The words behind `fineq`, up to where a shell leads what is printed elsewhere."""
    return shlex.split(piece.text.partition(" > ")[0], comments=True)[1:]


def each(pieces: list[Piece]):
    return pytest.mark.parametrize("piece", pieces, ids=[piece.id for piece in pieces])


def test_there_is_a_command_of_every_kind_on_its_page():
    assert {words_of(piece)[0] for piece in PAGE} == {*KNOWN}


@each(BLOCKS)
def test_a_command_needs_no_more_quotes(piece):
    assert unquoted(piece.text.partition(" > ")[0]) == ""


@each([*BLOCKS, *(piece for piece in INLINE if not SHOWN.search(piece.text))])
def test_a_command_is_taken(piece, monkeypatch):
    name, *words = words_of(piece)
    assert name in KNOWN
    if name == "run" and words:
        area, arguments = named(words)
        options = parse(area_of(area), arguments)
        if not (options.help or options.multirun):
            compose(area_of(area), options.overrides)
    elif name == "reproduce":
        for word in words:
            assert word in ("nlqr", "pift", "ntk", "finetune") or "=" in word
    elif words:
        module = importlib.import_module(f"fineq.shell.commands.{name}")
        fields, switches = (getattr(module, part, ()) for part in ("FIELDS", "SWITCHES"))
        read(name, words, places=(0, 3), fields=fields, switches=switches)


@pytest.mark.slow
def test_the_page_is_followed_from_its_top(tmp_path):
    """In order, in one folder, at smoke size; what needs an answer gets yes."""
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    size = ["profile=smoke", "seeds=3"]
    for piece in PAGE:
        name, *words = words_of(piece)
        if name == "reproduce" or "before" in words:
            continue  # all of it, and two folders of the reader's own
        if name == "run" and "--help" not in words:
            sized = size[1:] if words[0] == "nlqr/demo" else size
            given = {word.partition("=")[0] for word in sized}
            words = [word for word in words if word.partition("=")[0] not in given] + sized
        if name == "clean" and "--yes" not in words:
            words.append("--yes")
        command = [sys.executable, "-m", "fineq", name, *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{piece.text}: {done.stderr}"
        assert done.stderr == "", piece.text
        assert done.stdout
    left = {path.name for path in Path(tmp_path).iterdir()}
    assert left == {"before", "after", "outputs", "talk", "page.html"}
