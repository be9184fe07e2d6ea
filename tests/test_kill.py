"""kill -9 at a random moment, run again, same arrays: in a process of its own."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """
import sys
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
from fineq.iterate import Interrupted, iterate, every
from fineq.runs.checkpoint import Checkpoints
from fineq.sweep import Axis, Program, sweep
from fineq.sweep.program import keys
from tests.sweep.common import init, walk, measured

folder, steps = sys.argv[1], int(sys.argv[2])
store = Checkpoints(folder + "/checkpoints")
options = dict(store=store, save_seconds=0.0, chunk_seconds=0.02)

def say(event):
    if event.phase == "running":
        print(event.stage, event.iteration, flush=True)

try:
    init_key, key = keys({"seed": 5})
    state, problem = init(init_key, {"q": 0.9})
    trace = iterate(walk, state, problem, num_steps=steps, key=key, metrics=measured,
                    progress=say, **options)
    result = sweep(lambda static: Program(init, walk, steps, measured, every(steps, 997)),
                   [Axis("q", [0.5, 0.9]), Axis("seed", range(4))], block_size=3,
                   progress=say, **options)
except Interrupted as stop:
    print(stop, flush=True)
    sys.exit(stop.exit_code)
np.savez(folder + "/result.npz", single=trace.metrics["x"], last=trace.state.x,
         many=result.metrics["x"], final=result.final.x)
"""


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **extra}


def start_python(script: str, *args: str, **extra: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *args],
        cwd=ROOT,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(script: str, *args: str, **extra: str) -> str:
    process = start_python(script, *args, **extra)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def arrays(folder: Path) -> dict[str, bytes]:
    with np.load(folder / "result.npz") as file:
        return {name: file[name].tobytes() for name in file.files}


def stop_after(folder: Path, steps: int, lines: int, pause: float, number: int) -> tuple[int, str]:
    """Start the script, wait for `lines` reports and a moment, send the signal; code and output."""
    process = start_python(SCRIPT, str(folder), str(steps))
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    time.sleep(pause)
    process.send_signal(number)
    out, err = process.communicate()
    assert "Traceback" not in err
    return process.returncode, out


def kill_until_done(folder: Path, steps: int, kills: int, rng: random.Random) -> None:
    folder.mkdir()
    codes = [
        stop_after(folder, steps, rng.randint(1, 8), rng.uniform(0, 0.1), signal.SIGKILL)[0]
        for _ in range(kills)
    ]
    assert codes[0] == -signal.SIGKILL
    assert set(codes) <= {-signal.SIGKILL, 0}
    run_python(SCRIPT, str(folder), str(steps))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run_python(SCRIPT, str(folder), "20000")
    return arrays(folder)


def test_killed_twice_it_ends_with_the_same_arrays(tmp_path: Path, undisturbed: dict[str, bytes]):
    kill_until_done(tmp_path / "run", 20000, 2, random.Random(0))
    assert arrays(tmp_path / "run") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
def test_killed_often_it_ends_with_the_same_arrays(
    tmp_path: Path, undisturbed: dict[str, bytes], seed: int
):
    kill_until_done(tmp_path / "run", 20000, 5, random.Random(seed))
    assert arrays(tmp_path / "run") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
)
def test_ctrl_c_and_termination_end_cleanly_and_resume(
    tmp_path: Path, undisturbed: dict[str, bytes], number: int, code: int
):
    returned, out = stop_after(tmp_path, 20000, 1, 0.0, number)
    assert returned == code
    name = signal.Signals(number).name
    pattern = rf"stopped by {name} at iteration (\d+) of (\w+); the same command goes on .*"
    stopped = re.fullmatch(pattern, out.splitlines()[-1])
    assert stopped is not None
    assert not (tmp_path / "result.npz").exists()
    stage, iteration = run_python(SCRIPT, str(tmp_path), "20000").split()[:2]
    assert stage == stopped[2]
    assert int(iteration) > int(stopped[1])
    assert arrays(tmp_path) == undisturbed
