"""Command lines that are refused."""

from pathlib import Path

import pytest

from fineq.errors import EXIT_BAD_INPUT
from fineq.shell.main import main
from fineq.studies.area import Area


def refused(area: Area, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> str:
    """The one sentence with which a command line is refused, with nothing written."""
    output = tmp_path / "out"
    assert main(area, [*words, f"output={output}"]) == EXIT_BAD_INPUT
    assert not output.exists()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("fineq: ")
    return captured.err.removeprefix("fineq: ")
