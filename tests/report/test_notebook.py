"""A notebook shows a run's claims and figures, and takes nothing in it for markup."""

import base64
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fineq.runs import load
from tests.runs.conftest import rewrite_summary
from tests.shell.made import make_run, result, undrawn

NASTY = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def named(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def drawn():
    with undrawn(png=b"\x89PNG", pdf=b"%PDF"):
        yield


@pytest.fixture
def run(tmp_path, drawn):
    return load(make_run(tmp_path, words=["experiment=nlqr/landscape", "seeds=6"]))


def test_claims_notes_and_figures_are_there(run):
    page = Page(run._repr_html_())
    for words in (
        *("nlqr/landscape, complete", "fineq run nlqr/landscape seeds=6", "holds", "why"),
        *("the gap shrinks by a ratio (ℓ = 0.3, 6 seeds)", "0.5\n[0.49, 0.51]", "≈ 0.5 ± 0.05"),
    ):
        assert words in page.text
    (picture,) = page.named("img")
    head, _, content = picture["src"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content) == b"\x89PNG"
    assert picture["alt"] == "decay"
    assert len(page.named("th")) == 4


def test_nothing_in_a_run_is_markup(tmp_path, drawn):
    made = result()
    claim = replace(made.claims[0], statement=NASTY, instance=NASTY)
    figure = replace(made.figures[0], caption=NASTY)
    made = replace(made, claims=(claim,), figures=(figure,), notes={"n": NASTY})
    page = Page(load(make_run(tmp_path, made=made, words=[f"name='{NASTY}'"]))._repr_html_())
    assert {tag for tag, _ in page.tags} <= {
        *("div", "p", "b", "br", "code", "table", "thead", "tbody", "tr", "th", "td"),
        *("ul", "li", "figure", "figcaption", "img"),
    }
    assert page.text.count("<script>") >= 4
    assert page.named("img")[0]["alt"] == NASTY


def test_a_picture_that_is_damaged_is_named_and_one_that_is_missing_left_out(run):
    (run.path / "decay.png").write_bytes(b"other")
    page = Page(run._repr_html_())
    assert page.named("img") == []
    assert "decay.png is damaged" in page.text
    rewrite_summary(
        run.path, files={k: v for k, v in run.summary["files"].items() if k != "decay.png"}
    )
    assert "damaged" not in load(run.path)._repr_html_()


def test_a_run_of_an_older_fineq_has_no_table(run):
    run.summary["schema_version"] = 1
    assert Page(run._repr_html_()).named("table") == []
