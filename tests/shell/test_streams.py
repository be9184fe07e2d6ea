"""Streams that cannot be written, and alphabets that lack a letter."""

import io
import os
import subprocess
import sys

import pytest

from fineq.shell.streams import Lasting, lasting_streams, readable

WORDS = {
    "η ≤ 0.94": "eta <= 0.94",
    "|K − K*|": "|K - K*|",
    "ΣψΩ": "SigmapsiOmega",
    "ℓ → 0": "l -> 0",
    "ᾱ, σ², m^-½, λ": "alpha, sigma2, m^-1/2, lambda",
    "é": "e",
    "10–90%": "10-90%",
    "中": "?",
}


@pytest.mark.parametrize(("text", "plain"), WORDS.items())
def test_letters_that_are_absent_are_written_in_others(text, plain):
    assert readable(text, "ascii") == plain
    assert readable(text, "utf-8") == text
    assert readable(text, "no such encoding") == plain


def test_what_an_encoding_has_is_kept():
    assert readable("é ± µ η", "latin-1") == "é ± µ eta"


class Broken(io.StringIO):
    """A stream that fails with the given error from the second write on."""

    def __init__(self, error: OSError):
        super().__init__()
        self.failure = error
        self.writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        if self.writes > 1:
            raise self.failure
        return super().write(text)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (BrokenPipeError(32, "Broken pipe"), ""),
        (OSError(28, "No space left on device"), "no space left on device"),
        (OSError(5, "Input/output error"), "input/output error"),
    ],
)
def test_a_stream_that_fails_drops_what_follows(error, lost):
    broken = Broken(error)
    stream = Lasting(broken)
    for text in ("first\n", "second\n", "third\n"):
        assert stream.write(text) == len(text)
        stream.flush()
    assert broken.getvalue() == "first\n"
    assert broken.writes == 2  # nothing is tried again
    assert stream.lost == lost


def test_a_stream_that_is_closed_or_absent_is_silent(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (Lasting(closed), Lasting(None)):
        print("x", file=stream, flush=True)
        assert stream.lost == ""
        assert not stream.isatty()
    monkeypatch.setattr(sys, "stdout", None)
    with lasting_streams() as out:
        print("x")
        assert sys.stdout is out
    assert sys.stdout is None


SCRIPT = """
import sys
from fineq.shell.streams import lasting_streams
with lasting_streams() as out:
    for i in range(20000):
        print("a line of numbers", i)
    out.flush()
    print(out.lost, file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("{} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}", ""),
        ("{} >&-", ""),
        ("{} >/dev/full", "no space left on device"),
        ("{} >&- 2>&-", None),
    ],
)
def test_a_program_ends_with_its_own_code_whatever_its_output_meets(shell, said):
    """Not with 1 or 120, and the interpreter says nothing when it flushes at the end."""
    command = shell.format(f"{sys.executable} -c '{SCRIPT}'")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert said is None or done.stderr.strip() == said


def test_a_file_does_not_take_the_number_of_a_closed_stream(tmp_path):
    script = "from fineq.shell.streams import lasting_streams\nimport os\n"
    script += f"with lasting_streams(): os._exit(os.open({str(tmp_path / 'f')!r}, os.O_CREAT))"
    command = f'{sys.executable} -c "{script}" >&- 2>&-'
    done = subprocess.run(["bash", "-c", command], cwd=os.getcwd(), check=False)
    assert done.returncode > 2
