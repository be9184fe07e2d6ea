"""What is installed from a wheel: the package with its configurations, and it runs elsewhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel that is built from a copy, for building writes beside the sources."""
    place = tmp_path_factory.mktemp("wheel")
    copy = place / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("fineq", "configs"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
    subprocess.run([sys.executable, "-m", "pip", *words, str(copy)], check=True)
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The content of the wheel."""
    target = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(target)
    return target


@pytest.fixture(scope="module")
def fineq(wheel, tmp_path_factory) -> Path:
    """The command, from the wheel in an environment of its own.

    What fineq needs is found where these tests have it; the fineq that lies there is not, for it is
    known by a `.pth` file, and those are read in an environment's own folder alone.
    """
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    words = ["--python", str(place / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([sys.executable, "-m", "pip", *words, "--no-index", str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "fineq"


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


def test_the_command_of_a_wheel_lists_runs_and_shows_from_an_empty_folder(fineq, tmp_path):
    home, here = tmp_path / "cache", tmp_path / "here"
    here.mkdir()
    environment = {**os.environ, "XDG_CACHE_HOME": str(home)}
    for name in ("PYTHONPATH", "JAX_COMPILATION_CACHE_DIR"):
        environment.pop(name, None)

    def said(*words: str) -> str:
        done = subprocess.run(
            [fineq, *words], cwd=here, env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "  pift/beta " in said("list")
    assert not list(here.iterdir())
    size = ["profile=smoke", "seeds=2", "sweep.beta=[1,10,20,30]", "schedule.num_steps=3"]
    assert "pift/beta" in said("run", "pift/beta", *size, "picture.betas=[]")
    assert "this run is complete" in said("run", "pift/beta", *size, "picture.betas=[]")
    assert [path.name for path in here.iterdir()] == ["outputs"]
    assert list(home.glob("fineq/jax/*-cache"))
    assert "\n" + " " * 10 + "profile=smoke seeds=2 " in said("runs")
    assert "fineq run pift/beta profile=smoke seeds=2 " in said("show", "pift/beta")
    assert "an installed package\n" in said("doctor")
