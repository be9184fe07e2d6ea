"""`-m`: a header for each job, one table at the end, and a stop that stops them all."""

import json
from pathlib import Path

import pytest

from fineq.errors import (
    EXIT_ALL_DIVERGED,
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    EXIT_RESOURCES,
    EXIT_TERMINATED,
    InputError,
)
from fineq.iterate.interrupt import Interrupted, Terminated
from fineq.runs.summary import SCHEMA_VERSION, write_summary
from fineq.shell.main import main
from fineq.studies.nlqr.area import AREA
from tests.runs.conftest import claim


def saved(folder: Path, status: str, *verdicts: str | None) -> Path:
    """A run folder with a summary alone."""
    folder.mkdir()
    names = ("area", "study", "name", "hash")
    blank = {"rates": [], "notes": {}, "timing": {}, "environment": {}, "files": {}, "sources": {}}
    claims = [claim(0.5, verdict).to_dict() for verdict in verdicts]
    about = {"schema_version": SCHEMA_VERSION, "status": status, "claims": claims}
    write_summary(folder, json.loads(json.dumps({**dict.fromkeys(names, "x"), **blank, **about})))
    return folder


@pytest.fixture
def area(monkeypatch, tmp_path):
    """A function that takes what runs a configuration and returns an area, its runs noted."""
    monkeypatch.chdir(tmp_path)

    def make(run):
        monkeypatch.setattr("fineq.shell.multirun.execute", lambda area, config, **_: run(config))
        return AREA

    return make


@pytest.mark.slow
def test_all_jobs_run_and_the_worst_exit_code_counts(capsys, area, tmp_path):
    seen = []
    made = area(lambda config: (seen.append(config.seeds) or 0, tmp_path))
    assert main(made, ["-m", "seeds=3,0,5"]) == EXIT_BAD_INPUT
    assert seen == [3, 5]
    assert "seeds must be at least 1" in capsys.readouterr().err
    assert main(made, ["-m", "seeds=1,2", "sweep.system.lipschitz=[1,2]"]) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_header_for_each_job_and_a_table_of_all(capsys, area, tmp_path):
    # A claim without a theory is measured and has no verdict.
    verdicts = ("holds", None, "fails", "holds", None)

    def run(config):
        if config.seeds == 2:
            raise InputError("no")
        if config.seeds == 3:
            return EXIT_ALL_DIVERGED, saved(tmp_path / "third", "diverged")
        return 0, saved(tmp_path / "first", "complete", *verdicts)

    words = ["-m", "seeds=1,2,3", "sweep.system.lipschitz=[1,2]"]
    assert main(area(run), words) == EXIT_ALL_DIVERGED
    printed = capsys.readouterr()
    assert printed.err == "fineq: no\n"
    lines = [line for line in printed.out.splitlines() if line]
    assert lines[:3] == ["[1/3] seeds=1", "[2/3] seeds=2", "[3/3] seeds=3"]
    rows = [line.split("  ") for line in lines[3:]]
    table = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert table == [
        ["job", "settings", "status", "exit", "verdicts", "folder"],
        ["1", "seeds=1", "complete", "0", "1 fails, 2 holds", str(tmp_path / "first")],
        ["2", "seeds=2", "not run", "2", "-", "-"],
        ["3", "seeds=3", "diverged", "3", "-", str(tmp_path / "third")],
    ]


def test_without_a_temporary_folder_a_sentence_names_the_variable(capsys, area, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    assert main(area(None), ["-m", "seeds=1,2"]) == EXIT_RESOURCES
    assert "name one that can be written in TMPDIR" in capsys.readouterr().err


def test_quiet_jobs_print_nothing(capsys, area, tmp_path):
    assert main(area(lambda config: (0, tmp_path)), ["-m", "seeds=1,2", "quiet=true"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (Interrupted("stopped"), EXIT_INTERRUPTED),
        (Terminated("stopped"), EXIT_TERMINATED),
        (KeyboardInterrupt(), EXIT_INTERRUPTED),
    ],
)
def test_a_stop_signal_stops_what_is_left(stop, code, capsys, area, tmp_path):
    seen = []

    def run(config):
        seen.append(config.seeds)
        if config.seeds == 2:
            raise stop
        return 0, saved(tmp_path / "first", "complete", "holds")

    assert main(area(run), ["-m", "seeds=1,2,3,4"]) == code
    assert seen == [1, 2]
    printed = capsys.readouterr()
    assert "the same command goes on from what was kept" in printed.err
    assert [line.split()[0] for line in printed.out.splitlines()[-2:]] == ["1", "2"]
    assert "interrupted" in printed.out.splitlines()[-1]


@pytest.mark.slow
def test_a_process_that_is_ended_while_it_compiles_says_what_became_of_its_jobs(
    capsys, monkeypatch, tmp_path
):
    """The second Ctrl-C comes in a thread, and ends the process where it stands."""

    def execute(area, config, *, farewell, words):
        if config.seeds == 2:
            farewell()
            raise SystemExit(EXIT_INTERRUPTED)  # what `os._exit` is in this test
        return 0, saved(tmp_path / "first", "complete", "holds")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fineq.shell.multirun.execute", execute)
    with pytest.raises(SystemExit):
        main(AREA, ["-m", "seeds=1,2,3"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[-2:]] == [
        ["1", "seeds=1", "complete"],
        ["2", "seeds=2", "interrupted"],
    ]


@pytest.mark.parametrize(
    ("words", "header"),
    [
        (["seeds=1,2", "law=sphere,ball"], "[1/4] seeds=1 law=sphere"),
        (["seeds=range(1,4)"], "[1/3] seeds=1"),
        (["kernel=glob(s*)"], "[1] kernel=sin"),
    ],
)
def test_a_header_says_how_many_jobs_there_are_where_that_is_known(
    words, header, capsys, area, tmp_path
):
    assert main(area(lambda config: (0, tmp_path)), ["-m", *words]) == 0
    assert capsys.readouterr().out.splitlines()[1] == header


@pytest.mark.slow
def test_several_words_and_choices_of_files(area, tmp_path):
    seen = []

    def run(config):
        seen.append((config.study, config.law.name, config.seeds))
        return 0, tmp_path

    names = "experiment=nlqr/exact_recovery,nlqr/global"
    assert main(area(run), ["-m", names, "law=sphere,ball", "seeds=2"]) == 0
    assert seen == [
        (study, law, 2) for study in ("exact_recovery", "global") for law in ("sphere", "ball")
    ]


GLOBAL = "experiment=nlqr/global"


@pytest.mark.parametrize(
    ("words", "times"),
    [
        pytest.param(["-m", GLOBAL, "seeds=1,2", "profile=smoke"], 2, marks=pytest.mark.slow),
        pytest.param(["-m", GLOBAL, "profile=smoke,quick"], 0, marks=pytest.mark.slow),
        pytest.param(["-m", GLOBAL, "profile=quick,smoke"], 0, marks=pytest.mark.slow),
        pytest.param(["-m", GLOBAL, "seeds=1,2"], 0, marks=pytest.mark.slow),
        pytest.param(["-m", "experiment=nlqr/demo,nlqr/global"], 0, marks=pytest.mark.slow),
        pytest.param([GLOBAL, "profile=smoke"], 1, marks=pytest.mark.slow),
        pytest.param([GLOBAL, "seeds=2"], 0, marks=pytest.mark.slow),
    ],
)
def test_programs_are_hasty_in_all_jobs_of_a_process_or_in_none(
    words, times, area, monkeypatch, tmp_path
):
    """XLA reads its flags once: what one job has, all have that follow it."""
    hurried = []
    for module in ("main", "multirun"):
        monkeypatch.setattr(f"fineq.shell.{module}.hurry", lambda: hurried.append(None))
    made = area(lambda config: (0, tmp_path))
    assert main(made, words) == 0
    assert hurried == []  # this process goes on to others
    monkeypatch.setattr("sys.argv", ["nlqr", *words])
    assert main(made) == 0
    assert len(hurried) == times
