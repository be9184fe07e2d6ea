"""Subcommands that look at runs: an index with filters, a run in words, its figures drawn again."""

import os
import re
import shutil
from pathlib import Path

import pytest

from fineq.runs.folders import load
from fineq.shell import command
from fineq.shell.commands.found import entries, named
from fineq.shell.commands.runs import filtered, lines_of
from tests.runs.conftest import copy_run, rewrite_summary
from tests.shell.made import make_run, result, undrawn
from tests.shell.test_command import refused

SWEPT = {"system": {"lipschitz": 1.0}, "sweep": {"system": {"lipschitz": [0.5, 2.0]}}}
WORDS = ["experiment=nlqr/landscape", "seeds=6", "law.path='a b'"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    """Three runs, one of which was killed, and a folder that is none; oldest first."""
    output = tmp_path_factory.mktemp("made") / "outputs"
    with undrawn(png=b"png", pdf=b"%PDF"):
        made = [
            make_run(output, words=WORDS, system={"lipschitz": 1.0}),
            make_run(
                output,
                name="clear",
                made=result(0.7, status="diverged"),
                **{"law": {"radius": 3.0}, **SWEPT},
            ),
            make_run(output, "pift/beta", words=["experiment=pift/beta"], seconds=600.0),
        ]
    (made[2] / "summary.json").unlink()
    (output / "nlqr" / "landscape" / "notes-000000000000").mkdir()
    for second, folder in enumerate(made):
        for path in folder.iterdir():
            os.utime(path, (1.7e9 + 60 * second,) * 2)
    return output


def folder(outputs: Path, name: str) -> Path:
    (found,) = outputs.glob(f"nlqr/landscape/{name}-*/config.yaml")
    return found.parent


def test_the_index_has_a_line_for_every_run_the_newest_last(outputs, capsys):
    assert command.main(["runs", f"output={outputs}"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "study", "status", "when", "minutes"]
    of = {0: folder(outputs, "run"), 2: folder(outputs, "clear")}
    for number, path in of.items():
        assert lines[number].startswith(path.name[-12:-4])
    assert lines[0].split()[1:3] == ["nlqr/landscape", "complete"]
    assert lines[0].split()[-1] == "1.5"
    assert lines[1].split() == ["seeds=6", "law.path='a", "b'"]
    assert lines[2].split()[1:3] == ["nlqr/landscape", "diverged"]
    assert lines[3].strip() == "name=clear"
    assert lines[4].split()[1:3] == ["pift/beta", "unfinished"]
    assert len(lines) == 5
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("changes", "named_part"),
    [
        ({"timing": {"total": "long"}}, "'total' of timing"),
        ({"environment": {"devices": ["cpu"]}}, "'devices' of environment"),
        ({"rates": [{"value": 1.0}]}, "'quantity' of a rate"),
        ({"rates": [{"quantity": "e", "value": True}]}, "'value' of a rate"),
        ({"claims": [5]}, "a claim is no object"),
        ({"claims": [{"id": "x"}]}, "'statement' of a claim"),
        ({"notes": {"n": 5}}, "'n' of notes"),
    ],
)
def test_an_odd_summary_is_damaged_and_the_others_are_listed(
    outputs, changes, named_part, tmp_path, capsys
):
    shutil.copytree(outputs, tmp_path / "outputs")
    path = folder(tmp_path / "outputs", "run")
    rewrite_summary(path, **changes)
    assert command.main(["runs", f"output={tmp_path / 'outputs'}"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [words[2] for words in lines if words[0] == path.name[-12:-4]] == ["damaged"]
    assert sum("diverged" in words for words in lines) == 1
    said = refused(["show", str(path)], capsys)
    assert said.startswith(f"{path / 'summary.json'} is damaged: {named_part}")


def test_what_is_said_of_a_run_is_cut_to_the_terminal(outputs):
    lines = lines_of(entries(outputs), 24)
    assert lines[2] == "          seeds=6 law.p…"
    assert lines_of(entries(outputs), None)[2].endswith("law.path='a b'")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["run", "clear", "run"]),
        ({"area": "pift"}, ["run"]),
        ({"study": "landscape"}, ["run", "clear"]),
        ({"study": "nlqr/landscape", "status": "complete"}, ["run"]),
        ({"name": "clear"}, ["clear"]),
        ({"law.radius": "3"}, ["clear"]),
        ({"seeds": "6", "area": "nlqr"}, ["run", "clear"]),
        ({"seeds": "7"}, []),
        ({"seeds": "[7"}, []),
        ({"law.radius": "3e0"}, ["clear"]),
        ({"law.radius": "3e-1"}, []),
        ({"sweep.system.lipschitz": "[0.5,2]"}, ["clear"]),
        ({"sweep.system.lipschitz": "2"}, ["clear"]),
        ({"sweep.system.lipschitz": "[2,0.5]"}, []),
        ({"sweep.system.lipschitz": "3"}, []),
        ({"sweep.law.radius": "3"}, []),
        ({"system.lipschitz": "1"}, ["run"]),  # where it is swept its own value counts for nothing
    ],
)
def test_filters_keep_the_runs_that_have_what_they_say(outputs, filters, names):
    assert [entry.run.name for entry in filtered(entries(outputs), filters)] == names


def test_a_run_is_named_by_folder_digits_or_study(outputs):
    path = folder(outputs, "clear")
    assert named(str(path), outputs) == path
    assert named(str(path / "summary.json"), outputs) == path
    assert named(path.name[-12:-8], outputs) == path
    assert named("nlqr/landscape", outputs) == path  # the newer one


def test_within_outputs_a_study_is_not_taken_for_the_folder_of_its_runs(
    outputs, monkeypatch, capsys
):
    monkeypatch.chdir(outputs)
    assert named("nlqr/landscape", ".").name == folder(outputs, "clear").name
    assert command.main(["show", "nlqr/landscape", "output=."]) == 0
    assert "the newest of 2" in capsys.readouterr().out
    (outputs / "nlqr" / "beta").mkdir()
    assert refused(["show", "nlqr/beta", "output=."], capsys).startswith("nlqr/beta is no run that")
    (outputs / "nlqr" / "beta").rmdir()


def test_a_run_is_shown_with_claims_rates_command_and_files(outputs, capsys):
    path = folder(outputs, "run")
    assert command.main(["show", path.name[-12:], f"output={outputs}"]) == 0
    text = capsys.readouterr().out
    for words in (
        *("nlqr/landscape, complete\n", "  e: 0.5 [–, –], 3 seeds, linear\n", "≈ 0.5 ± 0.05"),
        *("the gap shrinks by a ratio", "holds", "note: why", "decay.png", "data.nc", "total 90.0"),
        "  fineq run nlqr/landscape seeds=6 'law.path='\"'\"'a b'\"'\"''\n",
    ):
        assert words in text
    assert "the newest" not in text
    command.main(["show", "nlqr/landscape", f"output={outputs}"])
    text = capsys.readouterr().out
    assert f"  fineq run nlqr --from {folder(outputs, 'clear')}/config.yaml\n" in text
    assert text.endswith("the newest of 2: fineq runs study=nlqr/landscape lists them\n")


def test_of_a_study_the_newest_that_passes_the_filters_is_shown(outputs, capsys):
    for words, name in ((["name=run"], "run"), (["sweep.system.lipschitz=2"], "clear")):
        assert command.main(["show", "nlqr/landscape", *words, f"output={outputs}"]) == 0
        assert str(folder(outputs, name)) in capsys.readouterr().out


def test_what_steers_a_terminal_is_written_out(outputs, tmp_path, capsys):
    shutil.copytree(outputs, tmp_path / "outputs")
    path = folder(tmp_path / "outputs", "run")
    words = ["experiment=nlqr/\x1b[2J", "seeds=6\nfake", "law.path=\u202eb"]
    rewrite_summary(path, words=words, notes={"n": "\x9b2J"})
    for said in (["runs"], ["show", path.name[-12:]]):
        assert command.main([*said, f"output={tmp_path / 'outputs'}"]) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\x9b", "\u202e"} & {*out}
        assert r"nlqr/\x1b[2J" in out
        assert r"\u202eb" in out
        assert said[0] == "show" or "\nfake" not in out


def test_a_loaded_run_has_its_command(outputs):
    assert load(folder(outputs, "run")).command.startswith("fineq run nlqr/landscape seeds=6 ")


def test_figures_are_drawn_again_elsewhere(outputs, tmp_path, capsys):
    path = folder(outputs, "run")
    words = ["redraw", str(path), f"to={tmp_path / 'talk'}", "style=dark_background"]
    assert command.main(words) == 0
    assert {p.name for p in (tmp_path / "talk").iterdir()} == {"decay.png", "decay.pdf"}
    assert "talk/decay.png" in capsys.readouterr().out
    assert "overwrite=True replaces it" in refused(words, capsys)
    assert command.main([*words, "overwrite=true"]) == 0
    assert command.main([*words, "overwrite=True"]) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["runs", "statsu=complete"], "fineq runs does not take statsu=; did you mean status=?"),
        (["runs", "status=done"], "status must be one of complete, partly_diverged, .*, got done"),
        (["runs", "output=nowhere"], "output=nowhere is no folder"),
        (["runs", "seeds=1", "seeds=2"], "seeds is given twice: drop one of them"),
        (["show"], "fineq show needs RUN; --help says more"),
        (["show", "a", "b"], "fineq show does not take 'b'; --help says more"),
        (["show", "{}"], "{} is no run that can be read: there is no summary.json in it"),
        (["show", "nothing"], "nothing is no run: give a folder, digits of its hash, or AREA/STUD"),
        (["show", "ffff", "output={}"], "no run in {} has a hash that begins with ffff; fineq run"),
        (
            ["show", "ntk/digits", "output={}"],
            "{} has no run of ntk/digits: there are nlqr/landscape, pift/beta; fineq run ntk/digit",
        ),
        (["compare", "{}"], "fineq compare needs A B; --help says more"),
        (["compare", "{}", "{}", "strict=1"], "strict must be true or false, got 1"),
        (["compare", "{}", "{}", "strict="], "strict must be true or false, got nothing"),
        (
            ["runs", "sweep.system.lipschits=2"],
            "fineq runs does not take sweep.system.lipschits=; did",
        ),
        (["runs", "sweep.study=2"], "fineq runs does not take sweep.study="),
        (
            ["show", "nlqr/landscape", "seeds=7", "output={}"],
            "{} has no run of nlqr/landscape that passes the filters; fineq runs study=nlqr/landsc",
        ),
        (["show", "{}", "seeds=7"], "filters choose among runs of AREA/STUDY, and {} is none"),
        (["compare", "{}", "{}/nlqr"], "{}/nlqr is neither a run nor a folder with finished runs"),
        (["redraw", "nlqr/landscape", "output={}", "style=x"], "style= needs to=, another folder"),
        (["redraw", "nlqr/landscape", "output={}", "overwrite=1"], "overwrite must be true or fal"),
        (["redraw", "nlqr/landscape", "output={}", "to="], "to must be given, got nothing"),
    ],
)
def test_bad_words_get_one_sentence(outputs, words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused([word.replace("{}", str(outputs)) for word in words], capsys)
    assert re.match(sentence.replace("{}", re.escape(str(outputs))), said), said


def test_two_runs_are_compared_and_strict_exits_with_one(outputs, capsys):
    one, other = (folder(outputs, name) for name in ("run", "clear"))
    assert command.main(["compare", str(one), str(one), "strict=true"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nlqr/landscape: nothing differs",
        f"  A  {one}",
        f"  B  {one}",
        "  claims  1 of 1 agree",
        "  arrays  2 equal",
    ]
    assert command.main(["compare", one.name[-12:], str(other), f"output={outputs}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nlqr/landscape: differs",
        f"  A  {one}",
        f"  B  {other}",
        "  told  name: run | clear",
        "  told  law.radius: - | 3.0",
        "  told  sweep.system.lipschitz: - | [0.5, 2.0]",
        "  status  complete | diverged",
        "  claims  0 of 1 agree",
        "    nlqr/linear-convergence: the gap shrinks by a ratio (ℓ = 0.3, 6 seeds)",
        "      0.5 [0.49, 0.51], holds | 0.7 [0.69, 0.71], fails",
        "  arrays  1 equal, 1 differ",
        "    gap: over seeds apart at 3 of 4 entries, by up to 0.24 of the largest number",
    ]
    for true in ("true", "True"):  # as for fields of a run
        assert command.main(["compare", str(one), str(other), f"strict={true}"]) == 1


def test_two_folders_are_compared_run_by_run(outputs, tmp_path, capsys):
    alone = tmp_path / "alone"
    copy_run(folder(outputs, "run"), alone / "nlqr" / "landscape" / folder(outputs, "run").name)
    assert command.main(["compare", str(outputs), str(alone), "strict=true"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nlqr/landscape: nothing differs"
    (killed,) = outputs.glob("pift/beta/*")
    assert lines[-3:] == [
        f"nlqr/landscape: only A has it, {folder(outputs, 'clear')}",
        "pairs of runs: 1, of which 0 differ; without a partner: 1",
        f"pift/beta: not compared, unfinished, {killed}",
    ]


def test_a_folder_without_runs_says_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs in outputs yet; fineq run nlqr/demo makes one\n"
