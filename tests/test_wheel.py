"""What is installed from a wheel: the package with its configurations, and it runs elsewhere."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The content of a wheel that is built from a copy, for building writes beside the sources."""
    place = tmp_path_factory.mktemp("wheel")
    copy, target = place / "copy", place / "target"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("fineq", "configs"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
    subprocess.run([sys.executable, "-m", "pip", *words, str(copy)], check=True)
    (wheel,) = place.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_the_wheel_holds_every_module_every_configuration_and_nothing_else(installed):
    def below(folder: Path, pattern: str) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern)}

    assert below(installed / "fineq", "*.py") == below(ROOT / "fineq", "*.py")
    assert below(installed / "fineq" / "configs", "*.yaml") == below(ROOT / "configs", "*.yaml")
    assert (installed / "fineq" / "py.typed").is_file()
    suffixes = {path.suffix for path in (installed / "fineq").rglob("*") if path.is_file()}
    assert suffixes == {".py", ".yaml", ".typed", ".css", ".js"}
    assert [path.name for path in installed.iterdir() if "dist-info" not in path.name] == ["fineq"]


USE = """
import fineq, sys
from fineq.shell.places import CONFIGS, program_cache
assert fineq.__file__.startswith(sys.argv[1]), fineq.__file__
assert str(CONFIGS).startswith(sys.argv[1])
assert str(program_cache()).startswith(sys.argv[2])
sweep = {"sweep.beta": [1.0, 10.0, 20.0, 30.0], "schedule.num_steps": 3}
run = fineq.run("pift/beta", sweep, seeds=2, profile="smoke", output=sys.argv[2])
assert run.summary["environment"]["commit"] is None
print(run.study, run.status)
"""


def test_it_runs_elsewhere_and_writes_nothing_beside_itself(installed, tmp_path):
    before = sorted(installed.rglob("*.yaml"))
    environment = {**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    words = [sys.executable, "-c", USE, str(installed), str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "pift/beta complete\n", done.stderr
    assert sorted(installed.rglob("*.yaml")) == before
    assert not list(installed.rglob(".cache"))
    assert (tmp_path / "fineq" / "jax").is_dir()
