"""`--dry-run`: where, how many members, how long and in how much memory, with nothing written."""

import pytest
import yaml

from fineq.errors import EXIT_BAD_INPUT
from fineq.runs import summary as summaries
from fineq.shell import foresee as module
from fineq.shell.commands.list import known_minutes, lines_of
from fineq.shell.compose import compose, settings
from fineq.shell.execute import Job, identified
from fineq.shell.experiments import names
from fineq.shell.foresee import foresee
from fineq.shell.main import main
from fineq.shell.past import Past, expected_stages, like, measured
from fineq.studies.area import AREAS, area_of
from tests.shell.made import make_run, undrawn

AREA = area_of("nlqr")
WORDS = ["experiment=nlqr/landscape", "seeds=12", "sweep.law.radius=[1,3]"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.chdir(tmp_path)
    with undrawn(png=b"png", pdf=b"%PDF"):
        yield tmp_path / "outputs"


def told(words: list[str]) -> dict[str, str]:
    """What is foreseen of a command line, by the first word of each line."""
    text = foresee(AREA, compose(AREA, words), words)
    content, _, lines = text.partition("\n\n")
    assert yaml.safe_load(content) == settings(compose(AREA, words))
    return {line.split()[0]: line.split(None, 1)[1] for line in lines.splitlines()}


def saved(output, words):
    """A run of these words that took 90 s, of them 30 to compile, and 500 MiB."""
    config = settings(compose(AREA, words))
    study, name, _ = (config.pop(field) for field in ("study", "name", "output"))
    path = make_run(output, f"nlqr/{study}", words=words, name=name, **config)
    summary = summaries.read_summary(path)
    about = {**summary["environment"], "peak_memory_mib": 500.4}
    summaries.write_summary(path, {**summary, "environment": about})
    return path


def test_members_are_counted_and_the_folder_is_that_of_the_run(here):
    found = told(WORDS)
    identity = identified(Job(AREA, compose(AREA, WORDS)), "cpu", {})
    assert found["nlqr/landscape:"] == "nothing is run"
    assert found["folder"] == f"outputs/nlqr/landscape/run-{identity.hash} (new)"
    assert found["members"] == "168: law.radius 2 x system.lipschitz 7 x seeds 12"
    assert not here.exists()


def test_time_and_memory_are_those_of_the_run_that_is_most_like_it(here):
    saved(here, [*WORDS, "landscape.num_seeds=1", "landscape.num_values=2"])
    alike = saved(here, [WORDS[0], WORDS[2], "seeds=6", "landscape.num_values=2"])
    found = told(WORDS)
    # 30 s to compile, and twice the 60 s that half of the members took.
    assert found["time"] == (
        f"about 2.5 minutes: run {alike.name[-12:-4]} took 1.5 for 84 members, 0.5 of it compiling;"
        " it had landscape.num_values=2, which is not reckoned"
    )
    assert found["memory"].startswith("that run took 500 MiB; blocks of members take at most ")


def test_where_no_run_is_like_it_what_was_measured_once_is_said(here, monkeypatch):
    minutes, mebibytes = measured()["nlqr/landscape"]
    found = told(["experiment=nlqr/landscape"])
    assert found["time"] == f"about {minutes:.2g} minutes of a processor, as measured elsewhere"
    assert found["memory"].startswith(f"{mebibytes:.0f} MiB, as measured elsewhere; blocks")
    once = measured()["nlqr/robustness setting=clear"]
    assert told(["experiment=nlqr/robustness"])["time"].startswith(f"about {once.minutes:.2g} ")
    other = told(["experiment=nlqr/landscape", "seeds=3"])
    assert other["time"].startswith(
        f"not known; its default size took {minutes:.2g} minutes of a p"
    )
    assert other["memory"].startswith(f"that took {mebibytes:.0f} MiB; blocks")
    bare = told(["study=landscape"])
    assert bare["time"].startswith("not known: no run like it is in outputs; ")


@pytest.mark.parametrize(("found", "state"), [(None, "interrupted: goes on"), (1, "complete: fou")])
def test_what_is_there_is_said(here, found, state, monkeypatch):
    monkeypatch.setattr(module, "find_run", lambda *_: found)
    identity = identified(Job(AREA, compose(AREA, WORDS)), "cpu", {})
    (here / "nlqr" / "landscape" / f"run-{identity.hash}" / "checkpoints").mkdir(parents=True)
    assert f"({state}" in told(WORDS)["folder"]


def test_a_run_that_needs_another_names_both(here):
    area = area_of("finetune")
    text = foresee(area, compose(area, ["experiment=finetune/beta"]), None)
    assert "base: the run that this one goes on from is made first\nfinetune/pretrain: " in text
    assert "outputs/finetune/beta/run-..., named once the run that it needs is there" in text


def test_the_platform_and_the_users_code_may_not_be_known(here, monkeypatch):
    own = ["kernel=python", "kernel.target=mine:phi"]
    assert told(own)["folder"].endswith("run-..., named once your code is loaded")
    monkeypatch.setattr(module, "foreseen_platform", lambda: None)
    assert told(WORDS)["folder"].endswith("named once JAX has chosen its devices")


def test_nothing_is_written_and_one_configuration_is_asked_for(here, capsys):
    assert main(AREA, [*WORDS, "--dry-run"]) == 0
    assert "nothing is run" in capsys.readouterr().out
    assert main(AREA, ["-m", "seeds=1,2", "--dry-run"]) == EXIT_BAD_INPUT
    assert "none of --cfg, --dry-run and --from" in capsys.readouterr().err
    assert not here.exists()


def test_the_table_is_of_experiments_that_there_are():
    known = {name for area in AREAS for name in names(area_of(area))}
    for words, cost in measured().items():
        name, _, setting = words.partition(" setting=")
        assert name in known
        assert setting in ("", "clear", "printed")
        assert 0 < cost.minutes < 60
        assert 100 < cost.mebibytes < 2**14


def test_the_list_has_minutes_of_runs_here_else_those_measured_once(here):
    def of(name: str) -> str:
        (line,) = (x for x in lines_of("nlqr", known_minutes(str(here)), None) if f" {name} " in x)
        return line.split()[1]

    assert of("nlqr/landscape") == f"{measured()['nlqr/landscape'].minutes:.1f}"
    saved(here, ["experiment=nlqr/landscape"])
    saved(here, ["experiment=nlqr/robustness"])
    saved(here, ["experiment=nlqr/lipschitz_sweep", "seeds=3"])
    assert of("nlqr/landscape") == of("nlqr/robustness") == "1.5"
    assert of("nlqr/lipschitz_sweep") != "1.5"


def test_the_stages_of_a_run_are_those_of_the_one_that_is_most_like_it(here):
    def staged(words, stages):
        path = saved(here, words)
        summary = summaries.read_summary(path)
        about = {**summary["environment"], "stages": stages}
        summaries.write_summary(path, {**summary, "environment": about})

    small = [*WORDS[:1], "seeds=6", WORDS[2]]
    config = settings(compose(AREA, WORDS))
    assert expected_stages(here, "nlqr", config) == {}
    staged([*WORDS, "landscape.num_values=2"], {"other": 1.0})
    staged(small, {"optima": 5.0, "curvatures": 20.0, "wrong": "x"})
    # Twice as many members as that run had.
    assert expected_stages(here, "nlqr", config) == {"optima": 10.0, "curvatures": 40.0}


def test_of_runs_that_are_alike_the_newest_is_meant_and_of_others_the_one_with_less_apart():
    def past(name, platform="cpu", **counted):
        return Past(name, None, counted, platform, 1.0, 0.0, 1.0, {})

    runs = [past("old", n=1), past("new", n=1), past("gpu", "gpu", n=2), past("far", n=3, m=4)]
    assert like({"n": 1, "seeds": 9}, "cpu", runs) == runs[1]
    assert like({"n": 2}, None, runs) == runs[2]
    assert like({"n": 2}, "cpu", runs) == runs[1]
    assert like({"n": 2}, "tpu", runs) is None
