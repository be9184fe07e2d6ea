"""Every program of examples/ runs as it stands, and docs/library.md lists it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def numbers(text):
    """The numbers of a text, in order."""
    return [float(word) for word in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?|nan", text)]


def riccati_batch(said):
    solved, of, residual = numbers(said)[:3]
    assert (solved, of) == (1000, 1000)
    assert residual < 1e-10


def policy_gradient(said):
    theory, measured = numbers(said.splitlines()[-1])
    assert theory < 0
    assert measured == pytest.approx(theory, rel=0.05)


def over_seeds(said):
    gaps = [numbers(line)[1] for line in said.splitlines()]
    # The noise of one-point estimates grows like 1/r, and the floor like its square.
    assert gaps[0] > gaps[1] > gaps[2] > 0


def own_method(said):
    ends = {line.partition(":")[0]: numbers(line)[-1] for line in said.splitlines()}
    assert ends["heavy ball"] < ends["policy gradient"]
    assert ends["natural gradient"] < ends["policy gradient"]


# What is known of the words that an example prints.
TRUE_OF = {
    check.__name__: check for check in (riccati_batch, policy_gradient, over_seeds, own_method)
}


QUICK = {"stopping_time"}
LINES = [
    pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem)
    for path in EXAMPLES
]


@pytest.mark.parametrize("path", LINES)
def test_it_runs_and_says_something(path, tmp_path):
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    TRUE_OF.get(path.stem, lambda said: None)(done.stdout)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_short_and_listed(path):
    code = [x for x in path.read_text().splitlines() if x.strip() and not x.startswith("#")]
    assert 10 <= len(code) <= 32
    assert f"examples/{path.name}" in (ROOT / "docs" / "library.md").read_text()
