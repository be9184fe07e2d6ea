"""How a command ends when it is asked to: in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fineq.errors import EXIT_INTERRUPTED
from tests.shell.test_run import ROOT, SMALL


def start(output: Path, *words: str, **options) -> "subprocess.Popen[str]":
    """Start a small study with its output in a pipe."""
    command = [sys.executable, "-m", "experiments.nlqr", *SMALL, f"output={output}", *words]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **{**pipe, **options})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "again"),
    [
        (signal.SIGINT, "; press again to stop at once"),
        (signal.SIGTERM, ""),
    ],
)
def test_a_request_to_stop_is_acknowledged_and_ends_with_its_code(tmp_path, number, again):
    process = start(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().endswith(": compiling\n")
    process.send_signal(number)
    out, err = process.communicate()
    lines = [line for line in out.splitlines() if line.startswith(number.name)]
    assert lines == [f"{number.name}: stopping after what is computed or compiled now{again}"]
    assert process.returncode == 128 + number
    assert err.startswith(f"fineq: stopped by {number.name} ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["nlqr", "pift", "ntk", "reproduce"])
def test_ctrl_c_while_modules_are_imported_ends_in_a_sentence(tmp_path, command):
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{command}", "profile=smoke"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_INTERRUPTED
    assert done.stderr == "fineq: interrupted; the same command goes on from what was kept\n"
