"""What `make setup` installed is what the lock names, for any Python and on any day."""

import os
import re
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fineq.shell.xla
from fineq.errors import InputError
from fineq.settings import switches
from fineq.shell.xla import hasty_flags, hurry, refusal, refuse_flags, unfold

ROOT = Path(__file__).parent.parent
PINS = [
    Requirement(line.rstrip("\\ "))
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if re.match(r"[\w.-]+==", line)
]
HERE = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate()]


@pytest.mark.parametrize("pin", HERE, ids=lambda pin: pin.name)
def test_the_installed_version_is_the_locked_one(pin):
    assert pin.specifier.contains(version(pin.name), prereleases=True)


def test_the_project_is_installed_from_its_sources():
    assert '"editable": true' in str(distribution("fineq").read_text("direct_url.json"))


def test_locks_hold_no_address_and_agree():
    locks = {path.name: path.read_text() for path in ROOT.glob("requirements*.lock")}
    assert set(locks) == {
        f"requirements{name}.lock" for name in ("", "-cuda", "-docs", "-peer", "-track")
    }
    pins = {k: set(re.findall(r"^([\w.-]+)==(\S+)", t, re.M)) for k, t in locks.items()}
    for text in locks.values():
        assert "://" not in text
    main = pins.pop("requirements.lock")
    for extra in pins.values():
        common = {name for name, _ in main} & {name for name, _ in extra}
        assert "jax" in common
        of = [{pin for pin in each if pin[0] in common} for each in (main, extra)]
        assert of[0] == of[1]


def make(*words: str) -> str:
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_environment_of_another_python_is_not_taken_for_this_one():
    assert "venv --clear" in make("setup", "VERSION=0.0.0")


def test_a_python_that_is_absent_is_named():
    done = subprocess.run(
        ["make", "setup", "BASE_PYTHON=python9.9"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "python9.9 does not run here" in done.stdout


@pytest.mark.slow
def test_xla_says_which_flag_it_does_not_know():
    said = refusal("--xla_no_such_flag=1")
    assert said is not None
    assert "--xla_no_such_flag=1" in said
    assert refusal("--xla_backend_optimization_level=1") is None


def test_the_installed_jaxlib_takes_the_flags_under_which_programs_compile_hastily():
    assert refusal(" ".join(hasty_flags())) is None


def test_hasty_programs_are_had_before_jax_is_loaded_and_leave_what_is_given(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=2")
    hurry()
    assert os.environ["XLA_FLAGS"] == "--xla_backend_optimization_level=2"  # JAX is loaded
    monkeypatch.delitem(sys.modules, "jax")
    hurry()
    hurry()
    rest = [flag for flag in hasty_flags() if "optimization_level" not in flag]
    assert os.environ["XLA_FLAGS"].split() == ["--xla_backend_optimization_level=2", *rest]
    monkeypatch.setenv("XLA_FLAGS", "")
    hurry()
    monkeypatch.setattr(fineq.shell.xla, "refusal", pytest.fail)  # what is known is not tried
    refuse_flags()
    assert os.environ["XLA_FLAGS"].split() == hasty_flags() == switches.flags()


def test_a_file_of_flags_is_the_flags_in_it(monkeypatch, tmp_path):
    file = tmp_path / "flags"
    flag = "--xla_cpu_enable_fast_math=true"
    file.write_text(f"{flag}\n--xla_dump_to=here\n")
    monkeypatch.setenv("XLA_FLAGS", f" {file}")
    unfold()
    assert os.environ["XLA_FLAGS"] == f"{flag} --xla_dump_to=here"
    monkeypatch.setenv("XLA_FLAGS", str(file))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.delitem(sys.modules, "jax")
    hurry()
    assert set(os.environ["XLA_FLAGS"].split()) == {flag, "--xla_dump_to=here", *hasty_flags()}
    monkeypatch.setattr(fineq.shell.xla, "refusal", lambda flags: "no" if flag in flags else None)
    with pytest.raises(InputError, match=f"^XLA_FLAGS={flag} --xla_dump_to=here is not taken"):
        refuse_flags()


def test_the_installed_jaxlib_reads_a_file_of_flags(tmp_path):
    """Otherwise there is nothing to unfold."""
    (tmp_path / "flags").write_text("--xla_no_such_flag=1")
    assert "--xla_no_such_flag=1" in (refusal(str(tmp_path / "flags")) or "")


@pytest.mark.parametrize("content", [None, b"", b"words", b"\xff", b"--a\0b"])
def test_a_file_that_holds_no_flags_is_refused(monkeypatch, tmp_path, content):
    if content is not None:
        (tmp_path / "flags").write_bytes(content)
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "flags"))
    with pytest.raises(InputError, match=r"^XLA_FLAGS names the file .*flags"):
        unfold()
