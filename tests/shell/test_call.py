"""`fineq.run`: the same runs as from the shell, silent, and errors instead of exit codes."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import fineq
from fineq.errors import EXIT_ALL_DIVERGED, InputError
from fineq.settings import switches
from fineq.shell import call
from fineq.shell.compose import compose, settings
from fineq.shell.main import main
from fineq.studies.area import area_of

SMALL = {"terminal.num_steps": [4, 8, 16]}
WORDS = ["experiment=pift/terminal_law", "seeds=6", "profile=smoke"]
WORDS += ["terminal.num_steps=[4,8,16]"]


@pytest.fixture
def composed(monkeypatch):
    """What `fineq.run` would carry out, as nested plain values."""
    seen = []

    def execute(area, config, *, alone, words):
        seen.append((area.name, settings(config), alone))
        return EXIT_ALL_DIVERGED, "folder"

    monkeypatch.setattr(call, "execute", execute)
    monkeypatch.setattr(call, "load", lambda folder: folder)

    def of(*args, **fields):
        assert fineq.run(*args, **fields) == "folder"  # also where every member diverged
        return seen.pop()

    return of


def test_a_run_is_that_of_the_command_line_and_is_found_again(tmp_path, capsys):
    before = switches.state()
    run = fineq.run("pift/terminal_law", SMALL, seeds=6, profile="smoke", output=tmp_path)
    assert capsys.readouterr() == ("", "")
    assert switches.state() == before
    assert run.status == "complete"
    assert run.study == "pift/terminal_law"
    assert len(run.dataset["seed"]) == 6
    assert {claim.id for claim in run.claims} == {claim["id"] for claim in run.summary["claims"]}
    asked = compose(area_of("pift"), run.summary["words"])
    assert {**settings(asked), "output": str(tmp_path), "quiet": True} == run.config
    assert main(area_of("pift"), [*WORDS, f"output={tmp_path}"]) == 0
    assert "this run is complete" in capsys.readouterr().out
    data = (run.path / "data.nc").stat().st_mtime_ns
    again = fineq.run("pift/terminal_law", SMALL, seeds=6, profile="smoke", output=tmp_path)
    assert again.path == run.path
    assert (run.path / "data.nc").stat().st_mtime_ns == data
    fineq.run("pift/terminal_law", {**SMALL, "output": tmp_path}, seeds=6, profile="smoke", quiet=0)
    assert "this run is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "fields", "words"),
    [
        ({"system.lipschitz": np.float64(0.3)}, {"seeds": 3}, ["system.lipschitz=0.3", "seeds=3"]),
        (
            {"sweep.system.lipschitz": np.array([0.5, 1.0])},
            {"precision": "float32"},
            ["sweep.system.lipschitz=[0.5,1]", "precision=float32"],
        ),
        (
            None,
            {"sweep": {"system.lipschitz": (0.5, 1)}, "landscape": {"num_seeds": 2}},
            ["sweep.system.lipschitz=[0.5,1]", "landscape.num_seeds=2"],
        ),
        (
            {"system.A": [[0.5]], "system.B": [[1]], "system.C": [[0.1]]},
            {"system": "matrices", "kernel": "tanh", "setting": "printed"},
            [
                *("system=matrices", "kernel=tanh", "setting=printed"),
                *("system.A=[[0.5]]", "system.B=[[1]]", "system.C=[[0.1]]"),
            ],
        ),
    ],
)  # fmt: skip
def test_settings_mean_what_words_mean(composed, given, fields, words):
    area, found, alone = composed("nlqr/landscape", given, **fields)
    line = ["experiment=nlqr/landscape", "quiet=true", *words]
    assert (area, found) == ("nlqr", settings(compose(area_of("nlqr"), line)))
    assert not alone


def test_a_text_stands_for_itself(composed):
    _, found, _ = composed("nlqr/landscape", name="a-${oc.env:HOME}")
    assert found["name"] == "a-${oc.env:HOME}"


@pytest.mark.parametrize(
    ("args", "fields", "sentence"),
    [
        (("landscape",), {}, r"experiment must be one of nlqr/initialisation, .*, got 'landscape'"),
        (("nlqr/landscpe",), {}, "did you mean nlqr/landscape"),
        (("nlqr/landscape",), {"seed": 3}, "seed is not a field; did you mean seeds"),
        (("nlqr/landscape", {"seeds": 2}), {"seeds": 2}, "seeds is given twice"),
        (("nlqr/landscape", {"system.n": 2}), {"system": {"n": 2}}, "system.n is given twice"),
        (("nlqr/landscape",), {"seeds": "many"}, "seeds must be of type int"),
        (("nlqr/landscape",), {"seeds": object()}, "a setting must be a number, a text or a list"),
        (("nlqr/landscape",), {"strict": True}, "look at the run's claims"),
        (("nlqr/landscape", {"sweep.seeds": [1, 2]}), {}, "sweep.seeds is no axis of landscape"),
        (("nlqr/landscape",), {"system": "none"}, "system/none was not found"),
    ],
)
def test_bad_input_is_an_error_with_the_sentence_of_the_command_line(args, fields, sentence):
    with pytest.raises(InputError, match=sentence):
        fineq.run(*args, **fields)


def test_an_interruption_reaches_the_caller_and_jax_is_given_back(monkeypatch):
    def interrupted(*_, alone, words):
        jax.config.update("jax_threefry_partitionable", False)
        switches.pin()
        raise KeyboardInterrupt

    monkeypatch.setattr(call, "execute", interrupted)
    before = jax.config.jax_threefry_partitionable
    with pytest.raises(KeyboardInterrupt):
        fineq.run("nlqr/landscape")
    assert jax.config.jax_threefry_partitionable is False
    jax.config.update("jax_threefry_partitionable", before)


def test_fineq_loads_neither_jax_nor_hydra_until_they_are_used():
    code = "import sys, fineq; fineq.runs.find; print({'jax', 'hydra', 'xarray'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
