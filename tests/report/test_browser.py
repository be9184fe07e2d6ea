"""The page in a browser: every link, filter and choice; nothing logged, nothing else loaded."""

import time
from pathlib import Path

import pytest

from tests.report.browser import CHROMIUM, Browser
from tests.report.made import ELL, RADII, Node

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]
WIDE, PHONE = (1280, 900), (400, 800)
SHOWN = "[...document.querySelectorAll('#rows tbody tr')].filter(r => !r.hidden).map(r => r.id)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture
def at(browser, written):
    """Opens the page at a fragment; at the end nothing was logged, and nothing else was loaded."""

    def opening(fragment: str = "", size: tuple[int, int] = WIDE, dark: bool = False) -> Browser:
        browser.size(*size, dark=dark)
        browser.open(f"{written.as_uri()}{fragment}")
        return browser

    browser.events.clear()
    yield opening
    browser.run("1")  # events on their way have come
    assert browser.found("Log.entryAdded") == []
    assert browser.found("Runtime.exceptionThrown") == []
    assert browser.found("Runtime.consoleAPICalled") == []
    assert browser.found("Page.javascriptDialogOpening") == []
    asked = {
        p["request"]["url"].partition("#")[0] for p in browser.found("Network.requestWillBeSent")
    }
    assert {url for url in asked if not url.startswith("data:image/png")} <= {written.as_uri()}


@pytest.fixture(scope="module")
def rows(page) -> list[Node]:
    (table,) = [node for node in page.all("table") if node.get("id") == "rows"]
    return table.all("tbody")[0].all("tr")


def choose(browser: Browser, key: str, value: str) -> None:
    browser.run(
        f"(() => {{ const e = document.getElementById({key!r}); e.value = {value!r};"
        "e.dispatchEvent(new Event('input', {bubbles: true}));"
        "e.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def test_every_link_within_the_page_leads_to_what_is_seen(at):
    browser = at()
    links = browser.run("[...document.querySelectorAll('a[href^=\"#\"]')].length")
    assert links > 30
    for number in range(links):
        found = browser.run(
            f"""(async () => {{
              const link = document.querySelectorAll('a[href^="#"]')[{number}];
              link.closest('tr')?.removeAttribute('hidden');
              link.click();
              await new Promise(done => setTimeout(done, 30));
              const text = decodeURIComponent(location.hash.slice(1));
              const target = document.getElementById(text.includes('=') ? 'measured' : text);
              const box = target.getBoundingClientRect();
              const seen = box.height > 0 && box.top < innerHeight && box.bottom > 0;
              return [link.getAttribute('href'), seen];
            }})()"""
        )
        assert found[1], found[0]


@pytest.mark.parametrize("name", ["paper", "claim", "study", "verdict"])
def test_every_value_of_a_filter_leaves_its_rows(at, rows, name):
    browser = at()
    values = browser.run(f"[...document.getElementById('{name}').options].map(o => o.value)")
    assert len(values) > 2
    for value in values:
        choose(browser, name, value)
        everything = name == "verdict" and value == "everything"
        kept = [row for row in rows if everything or row.get(f"data-{name}") == value or not value]
        if not (name == "verdict" and value):
            kept = [row for row in kept if row.get("data-verdict") != "measured"]
        assert browser.run(SHOWN) == [row.get("id") for row in kept] or everything
        assert browser.run("count.textContent") == f"{len(kept)} of {len(rows)} rows" or everything
    if name == "verdict":
        assert browser.run(SHOWN) == [row.get("id") for row in rows]


def test_words_are_searched_and_the_address_keeps_what_is_asked(at, rows):
    browser = at()
    browser.run("document.getElementById('q').focus()")
    for letter in "bound 0.4":
        browser.press(letter)
    (only,) = browser.run(SHOWN)
    (row,) = [row for row in rows if row.get("id") == only]
    assert "[0.4, 0.6]" in row.text
    address = browser.run("location.href")
    browser.open(address)
    assert browser.run(SHOWN) == [only]
    assert browser.run("document.getElementById('q').value") == "bound 0.4"
    choose(browser, "verdict", "holds")
    assert browser.run(SHOWN) == []
    assert browser.run("!document.getElementById('none').hidden")
    browser.run("document.querySelector('#filters button[type=reset]').click()")
    browser.wait("location.hash === '#measured'")
    assert len(browser.run(SHOWN)) == len([r for r in rows if r.get("data-verdict") != "measured"])


def test_a_link_to_a_row_that_is_filtered_away_shows_it(at, rows):
    (row,) = [row for row in rows if row.get("data-verdict") == "measured"]
    browser = at(f"#{row.get('id')}")
    assert row.get("id") in browser.run(SHOWN)


@pytest.mark.parametrize("table", ["claims", "rows"])
def test_every_column_sorts_both_ways(at, table):
    browser = at("#verdict=everything")
    heads = browser.run(f"document.querySelectorAll('#{table} thead button').length")
    assert heads in (4, 6)
    keys = (
        "[...document.querySelectorAll('#{0} tbody tr')].map(r => r.cells[{1}])"
        ".map(c => c.dataset.sort ?? c.textContent.trim().toLowerCase())"
    )
    for column in range(heads):
        for way in ("ascending", "descending"):
            head = f"document.querySelectorAll('#{table} thead th')[{column}]"
            browser.run(f"{head}.querySelector('button').click()")
            assert browser.run(f"{head}.getAttribute('aria-sort')") == way
            found = [key.lower() for key in browser.run(keys.format(table, column)) if key]
            numbers = all(key.replace(".", "").isdigit() for key in found)
            assert found
            ordered = sorted(found, key=float if numbers else str, reverse=way == "descending")
            assert found == ordered


def test_every_choice_leaves_what_is_drawn_at_its_value(at):
    browser = at()
    figure = "document.querySelector('figure:has(select)')"
    assert browser.run(f"{figure}.querySelectorAll('select').length") == 2
    for ell in ("", *map(str, range(len(ELL)))):
        for radius in ("", *map(str, range(len(RADII)))):
            for i, value in enumerate((ell, radius)):
                select = f"{figure}.querySelectorAll('select')[{i}]"
                key = browser.run(f"{select}.id")
                choose(browser, key, value)
            seen = browser.run(
                f"[...{figure}.querySelectorAll('g[data-at-0]')]"
                ".filter(g => g.getClientRects().length)"
                ".map(g => [g.getAttribute('data-at-0'), g.getAttribute('data-at-1')])"
            )
            wanted = {(e, r) for e in "01" for r in "01" if ell in ("", e) and radius in ("", r)}
            assert {tuple(pair) for pair in seen} == wanted


def test_a_figure_is_enlarged_moved_and_put_back_by_keys_alone(at):
    browser = at()
    box = "document.querySelector('#zoomed svg').getAttribute('viewBox')"
    browser.run("document.querySelectorAll('button.zoom')[1].focus()")
    before = browser.run("document.querySelectorAll('.drawing')[1].innerHTML")
    browser.press("Enter")
    browser.wait("document.getElementById('zoom').open")
    whole = browser.run(box)
    assert browser.run("document.querySelectorAll('.drawing')[1].innerHTML") == ""
    browser.press("+")
    nearer = [float(x) for x in browser.run(box).split()]
    assert nearer[2] == pytest.approx(0.7 * float(whole.split()[2]), rel=1e-3)
    browser.press("ArrowRight")
    moved = [float(x) for x in browser.run(box).split()]
    assert moved[0] == pytest.approx(nearer[0] + 0.1 * nearer[2], abs=0.01)
    browser.press("0")
    assert [float(x) for x in browser.run(box).split()] == [float(x) for x in whole.split()]
    browser.press("+")
    browser.press("Escape")
    browser.wait("!document.getElementById('zoom').open")
    browser.wait("document.querySelectorAll('.drawing')[1].innerHTML !== ''")
    assert browser.run("document.querySelectorAll('.drawing')[1].innerHTML") == before
    assert browser.run("document.activeElement.className") == "zoom"


def test_a_wheel_enlarges_where_it_points(at):
    browser = at()
    browser.run("document.querySelectorAll('button.zoom')[0].click()")
    corner = "document.querySelector('#zoomed').getBoundingClientRect()"
    x, y = (browser.run(f"{corner}.{axis}") for axis in "xy")
    wheel = {"type": "mouseWheel", "deltaX": 0, "deltaY": -100}
    browser.call("Input.dispatchMouseEvent", x=x + 1, y=y + 1, **wheel)
    box = "document.querySelector('#zoomed svg').getAttribute('viewBox').split(' ').map(Number)"
    browser.wait(f"{box}[2] < 900 && {box}[2] > 0")
    left, top, *_ = browser.run(box)
    assert abs(left) < 1
    assert abs(top) < 1
    browser.run("document.querySelector('[data-zoom=close]').click()")


def test_the_theme_is_the_system_s_or_the_one_chosen_and_is_kept(at):
    paper = "getComputedStyle(document.body).backgroundColor"
    turned = "getComputedStyle(document.querySelector('.drawing svg')).filter"
    light, dark = "rgb(255, 255, 255)", "rgb(16, 19, 22)"
    browser = at(dark=True)
    assert (browser.run(paper), "invert" in browser.run(turned)) == (dark, True)
    press = "document.getElementById('theme').click()"
    for theme, colour in (("dark", dark), ("light", light), ("system", dark)):
        browser.run(press)
        assert browser.run("document.getElementById('theme').textContent") == f"Theme: {theme}"
        assert browser.run(paper) == colour
        assert ("invert" in browser.run(turned)) == (colour == dark)
    browser.run(press)
    assert at().run(paper) == dark  # kept, whatever the system has
    browser.run(f"{press}; {press}")
    assert at().run(paper) == light


CONTRAST = """
(() => {
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(x => x / 255)
      .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c;
    }
  };
  const texts = 'h1,h2,h3,h4,h5,p,a,small,td,th,li,code,summary,span,button,label,figcaption';
  return Math.min(...[...document.querySelectorAll(texts)]
    .filter(e => e.textContent.trim() && e.getClientRects().length).map(e => {
      const pair = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
      return (pair[0] + 0.05) / (pair[1] + 0.05);
    }));
})()
"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_text_stands_out_and_nothing_leaves_the_window_sideways(at, size, dark):
    """4.5: the contrast that the web content accessibility guidelines ask of text (AA)."""
    browser = at("#verdict=everything", size, dark)
    assert browser.run(CONTRAST) >= 4.5
    assert browser.run("document.documentElement.scrollWidth") <= size[0]
    assert browser.run("document.getElementById('zoom').getClientRects().length") == 0


def test_on_a_phone_a_cell_is_as_wide_as_its_card(at):
    page = at(size=PHONE)
    cells = "[...document.querySelectorAll('#rows tbody tr > *')].filter(c => c.offsetWidth)"
    assert page.run(f"{cells}.length") > 0
    narrow = "c => c.offsetWidth < .8 * c.parentElement.offsetWidth"
    assert page.run(f"{cells}.filter({narrow}).length") == 0


def test_a_reader_of_the_screen_meets_tables_with_heads_and_pictures_with_names(at):
    for size in (WIDE, PHONE):
        browser = at("#verdict=everything", size)
        browser.call("Accessibility.enable")
        nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
        roles = [node["role"]["value"] for node in nodes if not node.get("ignored")]
        assert roles.count("columnheader") >= 10
        assert roles.count("rowheader") > 8
        assert "search" in roles
        named = ("image", "img", "button", "searchbox", "combobox", "table", "link", "article")
        for node in nodes:
            if not node.get("ignored") and node["role"]["value"] in named:
                assert node["name"]["value"].strip(), node
        browser.call("Accessibility.disable")


def test_the_first_key_skips_to_the_claims(at):
    browser = at()
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    browser.press("Enter")
    browser.wait("location.hash === '#overview'")


def test_on_paper_there_are_no_controls_and_the_colours_are_light(at):
    browser = at(dark=True)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    hidden = "getComputedStyle(document.querySelector('{0}')).display"
    for selector in ("#filters", "#theme", ".tools", "nav"):
        assert browser.run(hidden.format(selector)) == "none"
    assert browser.run("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    assert browser.run("getComputedStyle(document.querySelector('.drawing svg')).filter") == "none"
    browser.call("Emulation.setEmulatedMedia", media="")


def test_without_script_all_is_there_but_the_controls(at, rows):
    browser = at()
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        address = browser.run("location.href")
        for url in ("about:blank", address):
            browser.call("Page.navigate", url=url)
        time.sleep(1.0)
        for room in ("DOM", "CSS"):
            browser.call(f"{room}.enable")

        def found(selector: str) -> list[int]:
            root = browser.call("DOM.getDocument")["root"]["nodeId"]
            return browser.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]

        def display(selector: str) -> str:
            style = browser.call("CSS.getComputedStyleForNode", nodeId=found(selector)[0])
            return {one["name"]: one["value"] for one in style["computedStyle"]}["display"]

        assert len(found("#rows tbody tr:not([hidden])")) == len(rows)
        assert [display(one) for one in ("#rows", "#filters", "#theme")] == [
            "table",
            "none",
            "none",
        ]
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_pictures_can_be_taken(at, tmp_path: Path):
    to = tmp_path / "page.png"
    at().picture(to)
    assert to.read_bytes().startswith(b"\x89PNG")


def test_the_page_of_a_comparison_filters_sorts_and_links(browser, beside):
    browser.events.clear()
    browser.size(*WIDE)
    browser.open(beside.as_uri())
    every = browser.run(SHOWN)
    findings = browser.run(
        "[...document.querySelectorAll('#rows tbody tr')].map(r => r.dataset.finding)"
    )
    assert {*findings} == {"agrees", "differs", "only A", "only B"}
    for finding in {*findings}:
        choose(browser, "finding", finding)
        kept = [key for key, one in zip(every, findings, strict=True) if one == finding]
        assert browser.run(SHOWN) == kept
    browser.open(f"{beside.as_uri()}#finding=differs&study=nlqr/landscape")
    assert len(browser.run(SHOWN)) == 1
    browser.run("document.querySelectorAll('#pairs thead button')[0].click()")
    assert (
        browser.run("document.querySelector('#pairs th').getAttribute('aria-sort')") == "ascending"
    )
    for size in (WIDE, PHONE):
        for dark in (False, True):
            browser.size(*size, dark=dark)
            browser.open(beside.as_uri())
            assert browser.run(CONTRAST) >= 4.5
            assert browser.run("document.documentElement.scrollWidth") <= size[0]
    for kind in ("Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
        assert browser.found(kind) == []
