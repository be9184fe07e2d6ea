"""One small study from the shell: what is written, what is printed, running again, resuming."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fineq.claims import Claim
from fineq.errors import EXIT_ALL_DIVERGED, EXIT_CLAIM_FAILED
from fineq.runs import load
from fineq.shell.main import main
from fineq.studies.nlqr.area import AREA

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["experiment=nlqr/demo", "seeds=2", "descent.num_steps=60"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The exit code, the printed text and the run folder of a first run."""
    output = tmp_path_factory.mktemp("runs") / "out"
    command = [sys.executable, "-m", "experiments.nlqr", *SMALL, f"output={output}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (output / "nlqr" / "linear_convergence").iterdir()
    return done, folder


def again(first, capsys, *words):
    """Run the same command once more in this process; return exit code and printed text."""
    _, folder = first
    code = main(AREA, [*SMALL, f"output={folder.parents[2]}", *words])
    return code, capsys.readouterr()


@pytest.mark.slow
def test_a_run_folder_describes_itself(first):
    _, folder = first
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert {"config.yaml", "data.nc", "summary.json", "linear_convergence.png"} <= names
    assert "linear_convergence.pdf" in names
    assert "checkpoints" not in names
    run = load(folder)
    assert run.summary["status"] == "complete"
    assert run.summary["timing"]["run"] > 0
    assert run.summary["environment"]["precision"] == "float64"
    assert run.dataset["exact_gap"].dims == ("seed", "exact_iteration")
    assert run.config["descent"]["num_steps"] == 60


def test_claims_are_read_back_with_the_verdict_their_numbers_say(first):
    summary = json.loads((first[1] / "summary.json").read_text())
    claims = [Claim.from_dict(claim) for claim in summary["claims"]]
    assert {claim.id for claim in claims} == {"nlqr/linear-convergence"}


def test_plain_output_has_a_table_and_no_control_characters(first):
    done, folder = first
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "verdict" in done.stdout
    assert folder.name in done.stdout
    assert done.stderr == ""


def test_a_complete_run_is_found_not_run(first, capsys):
    data = (first[1] / "data.nc").stat().st_mtime_ns
    code, captured = again(first, capsys)
    assert code == 0
    assert "this run is complete" in captured.out
    assert (first[1] / "data.nc").stat().st_mtime_ns == data
    assert len(list(first[1].parent.iterdir())) == 1


LOADED = """
import sys
from fineq.studies.nlqr.area import AREA
from fineq.shell.main import main
code = main(AREA, sys.argv[1:])
heavy = ("jax", "xarray", "pandas", "matplotlib", "flax", "optax", "scipy", "sklearn")
print(code, [name for name in heavy if name in sys.modules])
"""


def test_a_complete_run_is_found_before_anything_heavy_is_loaded(first):
    """What the second call costs is what it loads; this needs none of it."""
    words = [*SMALL, f"output={first[1].parents[2]}"]
    command = [sys.executable, "-c", LOADED, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "this run is complete" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 []"


def test_quiet_prints_nothing(first, capsys):
    code, captured = again(first, capsys, "quiet=true")
    assert code == 0
    assert captured.out == captured.err == ""


def test_strict_turns_a_failed_claim_into_exit_code_one(first, capsys):
    summary = json.loads((first[1] / "summary.json").read_text())
    failed = any(claim["verdict"] == "fails" for claim in summary["claims"])
    code, _ = again(first, capsys, "strict=true")
    assert code == (EXIT_CLAIM_FAILED if failed else 0)


def test_the_saved_configuration_names_the_same_run(first, capsys):
    _, folder = first
    code = main(AREA, ["--from", str(folder / "config.yaml"), f"output={folder.parents[2]}"])
    assert code == 0
    assert "this run is complete" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["| head -1; exit ${PIPESTATUS[0]}", ">&- 2>&-", ">/dev/full"])
def test_a_run_ends_by_its_result_whoever_reads(first, ending):
    words = " ".join(f"'{word}'" for word in [*SMALL, f"output={first[1].parents[2]}"])
    command = f"{sys.executable} -m experiments.nlqr {words} {ending}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
    lost = b"fineq: what was printed is lost: no space left on device\n"
    assert (done.returncode, done.stderr) == (0, lost if "full" in ending else b"")


@pytest.mark.slow
def test_a_study_whose_members_all_diverge_exits_with_three(tmp_path, capsys):
    words = [*SMALL, f"output={tmp_path}", "descent.step_size=50", "descent.diverged_factor=1.5"]
    assert main(AREA, words) == EXIT_ALL_DIVERGED
    (folder,) = (tmp_path / "nlqr" / "linear_convergence").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "diverged"
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("delay", [6.0, 9.0, 13.0])
def test_a_killed_study_resumes_to_the_same_arrays(first, tmp_path, delay):
    words = [*SMALL, f"output={tmp_path}", "save_every=0"]
    command = [sys.executable, "-m", "experiments.nlqr", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "nlqr" / "linear_convergence").iterdir()
    ours, theirs = load(folder).dataset, load(first[1]).dataset
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name].values, theirs[name].values)
