"""The page of the command, followed from its top to its end."""

import os
import subprocess
import sys

import pytest

from fineq.shell.command import COMMANDS
from tests.documented import ROOT, commands

PAGE = [p for p in commands() if p.page == "command.md" and p.text.startswith("fineq ")]


def test_it_has_every_subcommand():
    assert {piece.words[1] for piece in PAGE} == {command.name for command in COMMANDS}


@pytest.mark.slow
def test_the_page_is_followed_from_its_top(tmp_path):
    """In order, in one folder, at smoke size; what needs an answer gets yes."""
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    size = ["profile=smoke", "seeds=3"]
    for piece in PAGE:
        name, *words = piece.words[1:]
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
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"before", "after", "outputs", "talk", "page.html"}
