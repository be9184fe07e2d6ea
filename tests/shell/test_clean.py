"""`fineq clean` says what would go, asks, and removes what fineq wrote and nothing else."""

import errno
import io
import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from fineq.errors import EXIT_BAD_INPUT
from fineq.runs import find, load
from fineq.runs.files import CHECKPOINTS
from fineq.runs.lock import RunLock
from fineq.shell import command
from fineq.shell.commands import clean
from tests.shell.made import make_run, result, undrawn
from tests.shell.test_command import called, refused


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that holds `outputs` with two runs and a third that was killed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clean, "program_cache", lambda: tmp_path / "cache")
    output = tmp_path / "outputs"
    with undrawn(png=b"png", pdf=b"%PDF"):
        make_run(output)
        make_run(output, name="clear")
        dead = make_run(output, "pift/beta")
        (dead / "summary.json").unlink()
        for folder in (dead, *output.glob("nlqr/landscape/clear-*")):
            (folder / CHECKPOINTS).mkdir()
            (folder / CHECKPOINTS / "sweep-1.checkpoint").write_bytes(b"x" * 2000)
        yield tmp_path


def names(here: Path) -> list[str]:
    return sorted(run.name for run in find(here / "outputs"))


class Typed(io.StringIO):
    """What somebody types on a terminal."""

    def isatty(self) -> bool:
        return True


def test_runs_that_pass_the_filters_go_and_the_others_stay_whole(here, capsys):
    assert command.main(["clean", "runs", "name=run", "study=landscape", "--yes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(str(Path("outputs", "nlqr", "landscape", lines[0].split("/")[-1])))
    assert lines[1].endswith("in all")
    assert lines[2:] == ["removed"]
    (clear,) = find(here / "outputs", area="nlqr")
    assert load(clear.path).status == "complete"
    assert names(here) == ["clear", "run"]


def test_the_size_that_is_said_is_that_of_what_goes(here, capsys):
    files = [path for path in (here / "outputs").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    command.main(["clean", "runs", "--yes"])
    assert f"{size / 1e3:.1f} kB  in all" in capsys.readouterr().out
    assert not list((here / "outputs").iterdir())  # folders that are empty go too


def test_what_fineq_did_not_write_stays(here, capsys):
    (run,) = find(here / "outputs", name="clear")
    for name in ("notes.pdf", "thoughts.json"):
        (run.path / name).write_text("mine")
    (run.path / CHECKPOINTS / "mine").write_text("mine")
    (here / "outputs" / "summary.json").write_text("{}")
    (here / "outputs" / "nlqr" / "landscape" / "mine-000000000000").mkdir()
    assert command.main(["clean", "runs", "--yes"]) == 0
    assert "stays: notes.pdf, thoughts.json\n" in capsys.readouterr().out
    left = {path.name for path in (here / "outputs").rglob("*") if path.is_file()}
    assert left == {"notes.pdf", "thoughts.json", "mine", "summary.json"}
    assert (here / "outputs" / "nlqr" / "landscape" / "mine-000000000000").is_dir()


def test_links_are_left_with_what_they_lead_to(here, capsys):
    (run,) = find(here / "outputs", area="pift")
    elsewhere = here / "elsewhere"
    run.path.rename(elsewhere)
    run.path.symlink_to(elsewhere)
    (other,) = find(here / "outputs", name="clear")
    (other.path / CHECKPOINTS).rename(here / "kept")
    (other.path / CHECKPOINTS).symlink_to(here / "kept")
    command.main(["clean", "runs", "--yes"])
    assert (elsewhere / "data.nc").is_file()
    assert (here / "kept" / "sweep-1.checkpoint").is_file()
    assert f"stays: {CHECKPOINTS}" in capsys.readouterr().out


def test_a_summary_that_names_files_elsewhere_leads_nowhere(here):
    from tests.runs.conftest import rewrite_summary

    (run,) = find(here / "outputs", name="clear")
    (here / "precious").write_text("mine")
    rewrite_summary(run.path, files={"../../../../precious": "0"})
    command.main(["clean", "runs", "--yes"])
    assert (here / "precious").is_file()


def test_a_run_that_is_being_written_stays(here, capsys):
    (run,) = find(here / "outputs", name="clear")
    with closing(RunLock(run.path)):
        assert command.main(["clean", "runs", "--yes"]) == 0
    assert "is being written by another process, and stays" in capsys.readouterr().out
    assert names(here) == ["clear"]


def test_folders_of_others_that_look_like_runs_stay_whole(here, capsys):
    place = here / "outputs" / "nlqr" / "landscape"
    for name in ("site-production", "site-0123456789ab"):
        (place / name / CHECKPOINTS).mkdir(parents=True)
        (place / name / "config.yaml").write_text("name: site\nport: 80\n")
        (place / name / "data.nc").write_text("mine")
        (place / name / ".config.yaml.7.part").write_text("mine")
    (run,) = find(here / "outputs", name="clear")
    (run.path / ".mine.part").write_text("mine")
    (run.path / ".data.nc.7.part").write_text("half of it")
    assert command.main(["clean", "runs", "checkpoints", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "landscape/site-0123456789ab does not say that fineq made it, and stays\n" in out
    assert "site-production" not in out
    left = {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()}
    each = ("config.yaml", "data.nc", ".config.yaml.7.part")
    kept = {f"{site}/{n}" for site in ("site-production", "site-0123456789ab") for n in each}
    assert left == {*kept, f"{run.path.name}/.mine.part"}
    assert all((place / name / CHECKPOINTS).is_dir() for name in ("site-0123456789ab",))


@pytest.mark.parametrize("lost", [("config.yaml",), ("config.yaml", "summary.json")])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_run_whose_data_say_whose_it_is_goes_however_little_else_is_left(here, lost, how):
    (run,) = find(here / "outputs", name="clear")
    for name in lost:
        (run.path / name).unlink() if how == "gone" else (run.path / name).write_text("[")
    assert [found.state for found in find(here / "outputs", name="clear")] == ["damaged"]
    assert command.main(["clean", "runs", "name=clear", "--yes"]) == 0
    assert not run.path.exists()


def test_a_run_too_damaged_to_say_whose_it_is_goes_when_asked_for(here, capsys):
    (run,) = find(here / "outputs", name="clear")
    for name in ("config.yaml", "summary.json", "data.nc"):
        (run.path / name).write_text("[")
    (run.path / "notes.txt").write_text("mine")
    assert command.main(["clean", "runs", "name=clear", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "what is too damaged to say that fineq made it stays: status=damaged takes it\n" in out
    assert f"{run.path.name} does not say that fineq made it, and stays\n" in out
    assert (run.path / "data.nc").is_file()
    assert command.main(["clean", "runs", "status=damaged", "--yes"]) == 0
    # Of which figures it wrote nothing is left to tell.
    assert {path.name for path in run.path.iterdir()} == {"decay.pdf", "decay.png", "notes.txt"}
    assert len(names(here)) == 2


def test_what_steers_a_terminal_is_written_out(here, capsys):
    (run,) = find(here / "outputs", name="clear")
    (run.path / "a\x1b[2Jb\nc").write_text("mine")
    run.path.rename(run.path.parent / "x\x1b]0;y\x07-0123456789ab")
    command.main(["clean", "runs", "--yes"])
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07"} & {*out}
    assert r"x\x1b]0;y\x07-0123456789ab" in out
    assert r"a\x1b[2Jb\nc" in out


def test_a_linked_folder_keeps_its_checkpoints(here):
    (run,) = find(here / "outputs", area="pift")
    run.path.rename(here / "elsewhere")
    run.path.symlink_to(here / "elsewhere")
    assert command.main(["clean", "checkpoints", "--yes"]) == 0
    assert (here / "elsewhere" / CHECKPOINTS / "sweep-1.checkpoint").is_file()


@pytest.mark.parametrize("kind", ["runs", "checkpoints"])
def test_a_run_that_ends_while_the_question_stands_stays(here, kind, monkeypatch, capsys):
    (dead,) = find(here / "outputs", area="pift")

    def typed(_: str) -> str:
        make_run(here / "outputs", "pift/beta", made=result(0.3))  # the same hash
        return "yes"

    monkeypatch.setattr("sys.stdin", Typed())
    monkeypatch.setattr("builtins.input", typed)
    assert command.main(["clean", kind]) == 0
    assert f"{dead.name}-{dead.hash} has changed since, and stays\n" in capsys.readouterr().out
    assert load(dead.path).status == "complete"
    assert names(here) == (["run"] if kind == "runs" else ["clear", "run", "run"])


@pytest.mark.parametrize("refused", ["open", "unlink"])
def test_why_a_run_cannot_be_removed_is_said(here, refused, monkeypatch, capsys):
    (run,) = find(here / "outputs", area="pift")

    where = os if refused == "open" else Path
    true = getattr(where, refused)

    def refuse(path, *rest, **options):
        lock = Path(path).name == ".lock"
        if Path(path).parent.name == run.path.name and lock == (refused == "open"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return true(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(where, refused, refuse)
        assert command.main(["clean", "runs", "--yes"]) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert re.fullmatch(r"fineq: \S+ cannot be removed: permission denied\n", captured.err)
    assert "another process" not in captured.out
    assert captured.out.endswith("in all\nthe rest is removed\n")
    assert names(here) == ["run"]


def test_a_lost_output_does_not_claim_that_nothing_was_done(here):
    with open("/dev/full", "w") as full:
        done = called("clean", "runs", "--yes", stdout=full, stderr=subprocess.PIPE, cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(here) == []


def test_checkpoints_of_dead_runs_go_and_no_others(here, capsys):
    assert command.main(["clean", "checkpoints", "--yes"]) == 0
    assert "2.0 kB  in all" in capsys.readouterr().out
    left = list((here / "outputs").rglob("*.checkpoint"))
    assert [path.parents[1].name.partition("-")[0] for path in left] == ["clear"]
    assert names(here) == ["clear", "run", "run"]


def test_of_the_cache_only_what_jax_keeps_goes(here, capsys):
    cache = here / "cache"
    assert command.main(["clean", "cache"]) == 0
    assert capsys.readouterr().out == "there is nothing to remove\n"
    cache.mkdir()
    for name in ("jit_f-1-cache", "jit_f-1-atime", "mine.txt"):
        (cache / name).write_bytes(b"12345")
    assert command.main(["clean", "cache", "--yes"]) == 0
    assert capsys.readouterr().out.startswith("       10 B  2 files of ")
    assert [path.name for path in cache.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("typed", "goes"), [("y\n", True), ("no\n", False), ("\n", False), ("", 0)]
)
def test_it_asks_and_takes_no_for_an_answer(here, typed, goes, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Typed(typed))
    assert command.main(["clean", "runs"]) == 0
    out = capsys.readouterr().out
    assert "remove these? [y/N] " in out
    assert ("nothing is removed" in out) != bool(goes)
    assert bool(names(here)) != bool(goes)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["runs"], "nothing is removed, for nobody can be asked: --yes removes it"),
        ([], "fineq clean needs runs, checkpoints or cache; --help says more"),
        (["everything"], "fineq clean takes runs, checkpoints, cache, got 'everything'"),
        (["cache", "name=run"], "name= has no effect: the cache is one whole"),
        (["runs", "nmae=run"], "fineq clean does not take nmae=; did you mean name=?"),
        (["runs", "--force"], "fineq clean does not take --force; --help says more"),
    ],
)
def test_bad_words_get_one_sentence_and_nothing_goes(here, words, sentence, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert refused(["clean", *words], capsys) == sentence
    assert names(here) == ["clear", "run", "run"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(here, capsys):
    (run,) = find(here / "outputs", area="pift")
    run.path.chmod(0o500)
    assert command.main(["clean", "runs", "area=pift", "--yes"]) == EXIT_BAD_INPUT
    run.path.chmod(0o700)


def test_the_doctor_says_what_there_is(here, capsys):
    assert command.main(["doctor"]) == 0
    text = capsys.readouterr().out
    for name in ("fineq", "python", "libraries", "devices", "precision", "memory", "cache", "disk"):
        assert f"\n{name} " in f"\n{text}"
    assert "float64 is on" in text
    assert max(map(len, text.splitlines())) <= 100
    assert not list(here.glob("[!oc]*"))


def test_the_doctor_names_a_platform_that_there_is_not(tmp_path):
    env = {"JAX_PLATFORMS": "foo"}
    done = called("doctor", capture_output=True, cwd=tmp_path, env=env)
    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr.startswith("fineq: JAX_PLATFORMS=foo names no platform that JAX finds here")
    assert done.stderr.count("\n") == 1
    assert "\ndisk " in done.stdout


def test_the_doctor_takes_no_store_elsewhere(here, capsys):
    said = refused(["doctor", "output=gs://bucket"], capsys)
    assert said == "output must be a folder of this machine, got 'gs://bucket'"


def test_the_doctor_names_a_fault_and_looks_at_the_rest(here, capsys):
    (here / "file").write_text("")
    assert command.main(["doctor", "output=file/x"]) == EXIT_BAD_INPUT
    captured = capsys.readouterr()
    assert "computation " in captured.out
    assert captured.err.startswith("fineq: output folder file/x cannot be made")
