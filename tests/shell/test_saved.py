"""`--from`: saved configurations are data, and compose to themselves."""

import dataclasses

import pytest

from fineq.errors import InputError
from fineq.shell.compose import compose, settings, to_yaml
from fineq.studies.nlqr.area import AREA
from tests.shell.refusal import refused

WORDS = ["experiment=nlqr/linear_convergence", "system.lipschitz=0.7", "sweep.law.radius=[1.0,2.0]"]
TEXTS = ["a=b", "back\\slash\\", "${oc.env:HOME}", "\\${a}", "\\\\${a}", "${", "'q\"uo'te'"]
TEXTS += ["a,b", "[a]", "é ü", "null", "1", "~x", " "]
MATRICES = ["system=matrices", "system.A=[[0.5,0.1],[0,0.5]]"]


@pytest.fixture
def saved(tmp_path):
    """A function that writes a file and returns its path."""
    path = tmp_path / "config.yaml"

    def write(text):
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_a_saved_configuration_composes_to_itself(saved):
    config = compose(AREA, [*WORDS, *MATRICES])
    assert settings(compose(AREA, [], saved(to_yaml(config)))) == settings(config)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_stand_for_themselves(text, saved):
    config = dataclasses.replace(compose(AREA, WORDS), name=text)
    assert compose(AREA, [], saved(to_yaml(config))).name == text


def test_what_one_command_does_with_a_run_stays_behind(saved):
    usual = compose(AREA, WORDS)
    flags = ["force=true", "strict=true", "quiet=true", "output=elsewhere", "save_every=5"]
    found = compose(AREA, [], saved(to_yaml(compose(AREA, [*WORDS, *flags]))))
    assert settings(found) == {**settings(usual), "save_every": 5.0}


@pytest.mark.parametrize(("path", "sentence"), [("/", "is a folder"), ("/dev/null", "a device")])
def test_what_is_no_file_is_named(path, sentence, tmp_path, capsys):
    assert f"--from {path} is a" in (line := refused(AREA, ["--from", path], tmp_path, capsys))
    assert sentence in line


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seeds: abc", "seeds must be of type integer, got abc"),
        ("seeds: null", "seeds must be given, got null"),
        ("seeds: ${first_seed}", "seeds must be of type integer, got ${first_seed}"),
        ("name: a\nseeds: 2\nseeds: 3", "in YAML (line 3: found duplicate key seeds)"),
        ("name: a\nseeds: [", "in YAML (line 2: expected "),
        ("system: {n: 4}\nsystem.n: 5", "system.n is given twice"),
        ("descent: {others: 3}", "such as [natural,two_point], got 3"),
        ("seed: 1", "seed is not a field; did you mean seeds"),
        ("beta: 1.0", "beta is not a field of nlqr"),
        ("- 1", "not the config.yaml of a run"),
        ("1: 2", "not the config.yaml of a run"),
        ("[" * 5000, "not a configuration in YAML (brackets are nested too deep)"),
        ("system: 3", "system is not a field but a block"),
        ("sweep: 3", "sweep must be given as sweep.FIELD"),
        ("floors: {radii: [a]}", "floors.radii must be a list of numbers, got 'a'"),
        ("kernel: {degree: 3}", "has no effect when kernel.name=sin: give kernel.degree=2, or"),
        ("sweep: {save_every: [4, 10]}", "save_every changes no result"),
    ],
)
def test_files_that_cannot_be_used(text, sentence, saved, tmp_path, capsys):
    assert sentence in refused(AREA, ["--from", saved(text)], tmp_path, capsys)


def test_the_command_line_comes_before_the_file(saved):
    path = saved(to_yaml(compose(AREA, [*WORDS, *MATRICES])))
    found = compose(AREA, ["system=random", "system.A=[]", "seeds=5", "law=sphere"], path)
    assert (found.system.source, found.seeds, found.law.name) == ("random", 5, "sphere")
    assert found.system.lipschitz == 0.7
    assert found.sweep == {"law": {"radius": [1.0, 2.0]}}
    with pytest.raises(InputError, match=r"give system.A=\[\], or take system.source=matrices"):
        compose(AREA, ["system=random"], path)


def test_a_setting_fills_in_only_what_is_read(saved):
    path = saved(to_yaml(compose(AREA, [*WORDS, *MATRICES])))
    found = compose(AREA, ["setting=printed"], path)
    assert (found.setting, found.system.normalisation) == ("printed", "joint")
    again = compose(AREA, [], saved(to_yaml(found)))
    assert settings(again) == settings(found)


def test_a_profile_is_of_an_experiment(saved):
    path = saved(to_yaml(compose(AREA, WORDS)))
    with pytest.raises(InputError, match="profile=full has no effect"):
        compose(AREA, ["profile=full"], path)
