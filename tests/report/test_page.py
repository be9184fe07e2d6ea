"""The page: every claim with its verdict and reason, nothing from elsewhere, nothing injected."""

import base64
import hashlib
import os
import re

import pytest

from fineq import report
from fineq.errors import InputError
from fineq.report.claims import SIGNS
from fineq.runs import Outcome, find, write_overall_summary
from tests.report.made import EVIL, PAPER, REGISTERED, claims, parsed, result
from tests.runs.conftest import copy_run
from tests.shell.made import make_run, undrawn


def by_id(page, key):
    (found,) = [node for node in page.all() if node.attrs.get("id") == key]
    return found


def rows_of(page, key):
    return by_id(page, key).all("tbody")[0].all("tr")


def of_run(page, study="nlqr/landscape"):
    return [row for row in rows_of(page, "rows") if row.get("data-study") == study]


def test_every_judged_claim_is_a_row_with_its_numbers_and_the_reason_of_its_verdict(page):
    judged = [claim for claim in claims() if claim.verdict]
    shown = [row for row in of_run(page) if row.get("data-verdict") != "measured"]
    assert [row.get("data-verdict") for row in shown] == [claim.verdict for claim in judged]
    assert {claim.verdict for claim in judged} == {"holds", "fails", "inconclusive", "not refuted"}
    for row, claim in zip(shown, judged, strict=True):
        for part in (claim.statement, claim.instance, claim.reason, PAPER, f"{claim.verdict}"):
            assert part in row.text
    assert "2 J[1.5, 2.5]" in shown[0].text
    assert "[0.4, 0.6] 98%" in shown[1].text
    assert "≥ 1σx σ" in shown[0].text
    assert "fineq run nlqr/landscape seeds=8" in shown[0].text
    assert "90 s" in shown[0].text


def test_what_was_measured_alone_is_one_row_for_its_values(page):
    (row,) = [row for row in of_run(page) if row.get("data-verdict") == "measured"]
    assert "starts tried (ℓ = 1 … 3, 6 seeds)" in row.text
    assert "1 … 3" in row.text


def test_a_claim_leads_to_its_run_and_to_the_figures_that_show_it(page):
    links = {
        row.get("data-claim"): [a.text for a in row.all("a") if a.get("href").startswith("#run-")]
        for row in of_run(page)
    }
    assert links == {
        "nlqr/landscape": ["nlqr/landscape", "nlqr/landscape", "decay", "power", "plane"],
        "nlqr/global": ["nlqr/global", "nlqr/landscape", "decay", "plane"],
    }


def test_a_claim_that_no_run_speaks_of_stands_there_as_not_run(page):
    (row,) = [row for row in rows_of(page, "rows") if row.get("data-verdict") == "not run"]
    assert row.get("data-claim") == "nlqr/robustness"
    assert "not run" in row.text
    overview = {row.get("id"): row for row in rows_of(page, "claims")}
    assert list(overview) == [f"claim-{entry.id.replace('/', '-')}" for entry in REGISTERED]
    worst = [row.get("data-verdict") for row in overview.values()]
    assert worst == ["fails", "measured", "not run"]
    badges = [link.get("href") for link in overview["claim-nlqr-landscape"].all("a")]
    assert "#claim=nlqr/landscape&verdict=fails" in badges
    # The hostile run's holds too.
    assert "2 hold" in overview["claim-nlqr-landscape"].text


def test_verdicts_are_words_and_signs_not_colours_alone(page):
    for row in rows_of(page, "rows"):
        verdict = row.get("data-verdict")
        assert f"{SIGNS[verdict]} {verdict}" in row.text


def test_every_verdict_is_explained(page):
    words = by_id(page, "words")
    said = [node.text for node in words.all("dt")]
    assert {*said} == {*(f"{sign} {verdict}" for verdict, sign in SIGNS.items()), "fineq"}
    assert all(node.text for node in words.all("dd"))


def test_relations_are_signs(page):
    assert "The cost is convex where r ≤ 1" in by_id(page, "claim-nlqr-landscape").text


def test_nothing_that_a_run_says_is_more_than_text(page, written):
    (script,) = page.all("script")
    (style,) = page.all("style")
    assert "alert" not in script.text + style.text
    assert not page.all("img", "link", "iframe", "object", "embed", "base", "a:href")
    for node in page.all():
        assert not [name for name in node.attrs if name.startswith("on") or name == "src"]
        assert "style" not in node.attrs
    # As text it is there wherever it was said: in a claim, a note, a caption, a label, a command.
    assert page.text.count(EVIL) >= 10
    assert EVIL in by_id(page, "studies").all("figcaption")[3].text
    assert EVIL.replace(" ", "\N{NO-BREAK SPACE}") in "".join(n.text for n in page.all("text"))
    assert any(EVIL in node.get("aria-label") for node in page.all("svg"))
    assert "<img src=x" not in written.read_text()


def test_what_shows_nothing_or_turns_the_text_is_marked():
    from fineq.report.elements import element

    mark = "\N{REPLACEMENT CHARACTER}"
    assert element("p", "a\x00b\u202ec") == f"<p>a{mark}b{mark}c</p>"
    with pytest.raises(ValueError, match="no name"):
        element("p", **{"a b": "c"})


def test_the_page_lets_itself_run_its_own_script_and_load_nothing(any_page):
    (policy,) = [m.get("content") for m in any_page.all("meta") if m.get("http-equiv")]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["img-src"] == "data:"
    for name in ("script", "style"):
        (node,) = any_page.all(name)
        digest = base64.b64encode(hashlib.sha256(node.text.encode()).digest()).decode()
        assert allowed[f"{name}-src"] == f"'sha256-{digest}'"


def test_names_are_unique_and_every_link_leads_somewhere(any_page):
    ids = [node.get("id") for node in any_page.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    fields = {node.get("id") for node in any_page.all("select", "input")}
    for node in any_page.all():
        for name in ("href", "for", "aria-labelledby"):
            target = node.get(name)
            if name == "href" and target.startswith(("https://arxiv.org/abs/", "data:image/png")):
                continue
            if "=" in target:
                wanted = dict(part.split("=") for part in target[1:].split("&"))
                assert wanted.keys() <= fields
            elif target:
                assert target.removeprefix("#") in ids, (node.tag, target)
        for value in node.attrs.values():
            for target in re.findall(r"url\(#(.*?)\)", value or ""):
                assert target in ids


def test_tables_figures_and_controls_say_what_they_are(any_page):
    for key in [node.get("id") for node in any_page.all("table") if node.get("class") == "sorted"]:
        table = by_id(any_page, key)
        heads = [head.text for head in table.all("thead")[0].all("th")]
        assert all(head.get("scope") == "col" for head in table.all("thead")[0].all("th"))
        assert table.all("caption")[0].text
        for row in rows_of(any_page, key):
            first, *cells = row.all("th", "td")
            assert first.get("scope") == "row"
            assert [cell.get("data-name") for cell in cells] == heads[1:]
    for svg in any_page.all("svg"):
        assert svg.get("role") == "img"
        assert svg.get("aria-label")
    labelled = {label.get("for") for label in any_page.all("label")}
    assert {node.get("id") for node in any_page.all("select", "input")} <= labelled
    (html,) = any_page.all("html")
    assert html.get("lang") == "en"


def test_a_run_has_its_figures_configuration_versions_and_device(page):
    (article,) = [a for a in page.all("article") if a.get("aria-label").startswith("nlqr/")]
    assert len(article.all("figure")) == 3
    assert article.all("figcaption")[0].text.startswith("decay Descent near K∗, 1 − ημ.")
    assert "complete · profile" not in article.text
    for part in ("precision: float64", "jax", "devices", "commit", "The cost is convex"):
        assert part in article.text
    assert "fineq run nlqr/landscape seeds=8" in article.all("pre")[0].text


def test_runs_without_results_are_named_with_the_reason(page, outputs):
    said = [item.text for item in page.all("ul") if item.get("class") == "lost"]
    (lost,) = said
    for study in ("damaged", "older", "unfinished"):
        assert f"toy/{study}/run-" in lost
    assert "data.nc is damaged" in lost
    assert "claims of another kind" in lost
    assert "it has not ended" in lost
    assert str(outputs) not in lost


def test_the_same_runs_give_the_same_bytes_and_a_figure_that_fails_costs_only_itself(
    outputs, tmp_path, monkeypatch
):
    def fail(dataset, figure):
        if figure.name != "plane":
            raise InputError(f"figure {figure.name} cannot be drawn: why not <b>")
        return b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 374 280'/>"

    monkeypatch.setattr(report.found, "vector", fail)
    pages = [
        report.write(outputs, tmp_path / name, registered=iter(REGISTERED)).read_bytes()
        for name in ("a.html", "b.html")
    ]
    assert pages[0] == pages[1]
    figures = parsed(pages[0].decode()).all("figure")
    assert ["cannot be drawn: why not <b>" in figure.text for figure in figures] == [1, 1, 0, 1]


def test_of_runs_of_one_configuration_the_newest_counts_and_the_others_are_named(
    outputs, tmp_path, monkeypatch
):
    (made,) = outputs.glob("nlqr/landscape/run-*")
    older = tmp_path / "nlqr" / "landscape" / made.name
    copy_run(made, older)
    with undrawn():
        newer = make_run(tmp_path, words=["seeds=8"], made=result(), sources="changed")
        other = make_run(tmp_path, made=result(), seeds=9)
    os.utime(older / "summary.json", (1.7e9, 1.7e9))
    monkeypatch.setattr(report.found, "vector", lambda *_: b"<svg viewBox='0 0 374 280'/>")
    to = report.write(tmp_path, tmp_path / "a.html", registered=REGISTERED)
    page = parsed(to.read_text())
    labels = [article.get("aria-label") for article in page.all("article")]
    assert sorted(labels) == sorted(f"nlqr/landscape, {run.name}" for run in (newer, other))
    (lost,) = [item.text for item in page.all("ul") if item.get("class") == "lost"]
    assert lost.startswith(f"nlqr/landscape/{older.name}: a newer run has the same configuration")
    assert newer.name in lost
    # What a run has earned leads to its own rows.
    for article in page.all("article"):
        links = {link.get("href") for link in article.all("a") if "verdict=" in link.get("href")}
        runs = {part for link in links for part in link.split("&") if part.startswith("run=")}
        assert runs == {f"run={article.get('id')}"}
        rows = [row for row in of_run(page) if row.get("data-run") == article.get("id")]
        assert len(rows) == len(of_run(page)) // 2 > 0


def test_studies_that_ended_before_they_had_a_run_are_named(tmp_path):
    assert len(find(tmp_path)) == 0
    wrong = Outcome("nlqr/broken", 2, None, "system.path: cannot read plant.npz")
    write_overall_summary(tmp_path, [wrong, Outcome("nlqr/fine", 0, None)])
    text = report.write(tmp_path, tmp_path / "a.html", registered=()).read_text()
    assert "nlqr/broken" in text
    assert "cannot read plant.npz" in text
    assert "nlqr/fine" not in text


@pytest.mark.parametrize("content", ["", "{}", '{"runs": [1]}', '{"runs": 3}', "[" * 9999])
def test_a_summary_that_is_none_is_passed_over(tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(InputError, match="no run lies below"):
        report.write(tmp_path, tmp_path / "a.html", registered=())


def test_bad_places_are_refused_in_a_sentence(outputs, tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*none"):
        report.write(tmp_path / "none", tmp_path / "a.html")
    with pytest.raises(InputError, match="no run lies below"):
        report.write(tmp_path, tmp_path / "a.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        report.write(outputs, tmp_path / "file" / "a.html")
    with pytest.raises(InputError, match="is a folder"):
        report.write(outputs, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
