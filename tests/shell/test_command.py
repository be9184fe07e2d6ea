"""The command `fineq`: what it lists, whom it calls, and what it refuses in one sentence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fineq.errors import EXIT_BAD_INPUT, EXIT_RESOURCES
from fineq.shell import command
from fineq.shell.commands import list as listing
from fineq.shell.experiments import names
from fineq.studies.area import AREAS, area_of

ROOT = Path(__file__).resolve().parents[2]
STUDIES = [name for area in AREAS for name in names(area_of(area))]
ALONE = [sys.executable, "-m", "fineq"]


def called(*words: str, **options) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run([*ALONE, *words], env=environment, text=True, **options)


def refused(words: list[str], capsys: pytest.CaptureFixture) -> str:
    """The one sentence with which a command line is refused."""
    assert command.main(words) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("fineq: ")
    assert said.count("\n") == 1
    return said.removeprefix("fineq: ").rstrip()


def test_the_list_has_every_study_once_with_what_it_shows(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(["list"]) == 0
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines() if re.match(r"  \w+/", line)]
    assert [words[0] for words in lines] == STUDIES
    assert all(len(words) > 3 for words in lines)
    for area in AREAS:
        assert f"\n{area}: " in f"\n{text}"


def test_the_list_of_one_area_is_a_part_of_it(capsys):
    command.main(["list", "ntk"])
    one = capsys.readouterr().out
    command.main(["list"])
    assert one.partition("\n\n")[0] in capsys.readouterr().out
    assert "nlqr/" not in one


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_of_a_terminal_are_no_wider_than_it(width):
    for area in AREAS:
        narrow, wide = (listing.lines_of(area, {}, columns) for columns in (width, None))
        assert max(map(len, narrow)) <= max(width, len(narrow[0]))
        assert " ".join(narrow).split() == " ".join(wide).split()


@pytest.mark.parametrize("each", command.COMMANDS, ids=lambda each: each.name)
def test_every_subcommand_explains_itself(each, capsys):
    assert command.main([each.name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text == each.usage()
    assert text.startswith(f"usage: fineq {each.name}")
    assert max(map(len, text.splitlines())) <= 80
    assert command.main(["help", each.name]) == 0
    assert capsys.readouterr().out == text


def test_help_names_every_subcommand_within_80_columns(capsys):
    assert command.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for each in command.COMMANDS:
        assert f"\n  {each.name} " in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "there is nothing to do: give a command"),
        (["rnu"], "'rnu' is no command; did you mean run? allowed: list, run, "),
        (["help", "nothing"], "'nothing' is no command; allowed: "),
        (["list", "lqr"], "'lqr' is no area; allowed: nlqr, pift, ntk, finetune"),
        (["list", "--long"], "fineq list does not take --long; --help says more"),
        (["list", *AREAS, "nlqr"], "fineq list does not take 'nlqr'"),
        (["run"], "there is nothing to run: give AREA/NAME; fineq list has them"),
        (["run", "landscape"], "'landscape' is no study; did you mean nlqr/landscape? fineq list"),
        (["run", "nqlr/landscape"], "'nqlr/landscape' is no study; did you mean nlqr/landscape?"),
        (["run", "nlqr/landscap"], "experiment/nlqr/landscap was not found; did you mean nlqr/la"),
        (["run", "seeds=3"], "fineq run begins with AREA/NAME, got 'seeds=3'; fineq list has them"),
        (["run", "nlqr/landscape", "seed=3"], "seed is not a field; did you mean seeds"),
        (["run", "nlqr"], "there is nothing to run: give one of these, or a study="),
        (["reproduce", "lqr"], "area must be one of nlqr, pift, ntk, finetune, got lqr"),
        (["reproduce", "--dry-run"], "fineq reproduce does not take --dry-run; --help says more"),
        (
            ["run", "nlqr/demo", "--dryrun"],
            "'--dryrun' is not an option of nlqr; did you mean --dry-",
        ),
        (["clean"], "fineq clean needs runs, checkpoints or cache; --help says more"),
    ],
)
def test_bad_words_get_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(words, capsys).startswith(sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["nlqr/demo", "seeds=3", "--cfg"],
        ["nlqr", "--cfg", "experiment=nlqr/demo", "seeds=3"],
        ["seeds=3", "experiment=nlqr/demo", "--cfg"],
    ],
)
def test_run_says_what_the_module_of_the_area_says(words, capsys):
    from fineq.shell.main import main

    assert main(area_of("nlqr"), ["experiment=nlqr/demo", "seeds=3", "--cfg"]) == 0
    expected = capsys.readouterr().out
    assert command.main(["run", *words]) == 0
    assert capsys.readouterr().out == expected


def test_it_looks_without_jax_numpy_or_hydra(tmp_path):
    code = "import sys; from fineq.shell.command import main; main(['list']); main(['--help']); "
    code += "sys.exit(', '.join({'jax', 'numpy', 'hydra', 'xarray'} & {*sys.modules}) or 0)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, cwd=tmp_path, env=environment, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_version_is_that_of_the_package(capsys):
    import fineq

    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fineq {fineq.__version__}\n"


def test_a_reader_that_leaves_is_no_fault_and_a_full_disk_is(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = called("list", stdout=write, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/full", "w") as full:
        done = called("list", stdout=full, stderr=subprocess.PIPE, cwd=tmp_path)
    assert done.returncode == EXIT_RESOURCES
    assert done.stderr == "fineq: standard output cannot be written: no space left on device\n"
