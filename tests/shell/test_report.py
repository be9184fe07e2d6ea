"""`fineq report` and the page at the end of `fineq reproduce`."""

import subprocess
import sys
from pathlib import Path

import pytest

from fineq import report
from fineq.shell import command, reproduce
from tests.shell.made import make_run, result, undrawn
from tests.shell.test_command import refused


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("made") / "outputs"
    with undrawn():
        make_run(output)
    return output


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch):
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 374 280'/>"
    monkeypatch.setattr(report.found, "vector", lambda *_: svg)


def test_the_page_lies_beside_the_runs_or_where_it_is_asked_for(outputs, tmp_path, capsys):
    assert command.main(["report", str(outputs)]) == 0
    page = outputs / "report.html"
    assert capsys.readouterr().out == f"  {page}\n"
    text = page.read_text()
    assert "the gap shrinks by a ratio" in text
    # Claims of areas of which nothing was run.
    assert "ntk/coupling" in text
    assert "finetune/gap" in text
    there = tmp_path / "a" / "b.html"
    assert command.main(["report", str(outputs), f"to={there}"]) == 0
    assert there.read_bytes() == page.read_bytes()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such"], "there is no folder no-such"),
        (["a", "b", "c"], "does not take 'c'"),
        (["out=b"], "does not take out="),
        (["--open"], "does not take --open"),
        (["to="], "to must be given"),
    ],
)
def test_bad_words_end_with_one_sentence(words, sentence, capsys):
    assert sentence in refused(["report", *words], capsys)


def test_help_says_what_is_written_and_where(capsys):
    assert command.main(["report", "--help"]) == 0
    assert "report.html" in capsys.readouterr().out


def test_the_page_is_written_without_loading_jax(outputs, tmp_path):
    code = (
        "import sys; from fineq.shell import command; import fineq.report.found as found;"
        "found.vector = lambda *_: b'<svg/>';"
        f"code = command.main(['report', {str(outputs)!r}, 'to={tmp_path}/a.html']);"
        "sys.exit(code or 'jax' in sys.modules or 'hydra' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("code", [0, 2, 130])
def test_reproduce_ends_with_the_page_unless_it_is_interrupted(
    code, outputs, tmp_path, monkeypatch, capsys
):
    def execute(area, config, **_):
        from fineq.errors import InputError
        from fineq.iterate.interrupt import Interrupted

        if code == 130:
            raise Interrupted("later")
        if code == 2:
            raise InputError("why not")
        return 0, make_run(Path(config.output), f"{area.name}/{config.study}")

    monkeypatch.setattr(reproduce, "execute", execute)
    ended = reproduce.main(["finetune", "profile=smoke", f"output={tmp_path}"])
    assert ended == code
    page = tmp_path / "report.html"
    assert page.exists() == (code != 130)
    assert (f"on one page: {page}" in capsys.readouterr().out) == (code != 130)
    if code == 2:
        assert "why not" in page.read_text()


def test_runs_beside_each_other_are_one_page(outputs, tmp_path, capsys, monkeypatch):
    other = tmp_path / "other"
    with undrawn():
        make_run(other, made=result(0.7))
        alone = make_run(other, "pift/beta")
        killed = make_run(other, name="killed")
    (killed / "summary.json").unlink()
    monkeypatch.chdir(tmp_path)
    assert command.main(["report", str(outputs), str(other)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"nlqr/landscape: not compared, unfinished, other/{killed.relative_to(other)}",
        "  comparison.html",
    ]
    text = (tmp_path / "comparison.html").read_text()
    assert "apart beyond chance" in text
    assert "only B" in text
    digits = alone.name.rpartition("-")[2]
    words = ["report", digits, "nlqr/landscape", f"output={other}", f"to={tmp_path}/two.html"]
    assert command.main(words) == 0
    assert "pift/beta" in (tmp_path / "two.html").read_text()
    said = refused(["report", str(outputs), "no-such"], capsys)
    assert "no-such" in said
    assert "output= says" in refused(["report", str(outputs), "output=b"], capsys)
