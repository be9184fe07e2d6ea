"""The pages of docs/ hold together: what they name is there, and every page can be found."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fineq.claims import REGISTRY
from fineq.studies.area import AREAS
from tests.documented import NOTEBOOKS, PAGES, ROOT, prose, spans

DOCS = ROOT / "docs"
ALL = sorted(DOCS.rglob("*.md"))
# What begins in no room of its own, and placeholders.
NAMES = [s for s in spans() if re.fullmatch(r"fineq(\.\w+)+(\(\))?", s.text)]
TESTS = [s for s in spans() if s.text.startswith("tests/")]
sys.path.append(str(DOCS / "extensions"))


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something within one."""
    found, rest = None, name.split(".")
    for i in range(len(rest), 0, -1):
        try:
            found = importlib.import_module(".".join(rest[:i]))
        except ModuleNotFoundError:
            continue
        return all((found := getattr(found, part, None)) is not None for part in rest[i:])
    return False


def anchor(heading: str) -> str:
    """What a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("name", sorted({piece.text.rstrip("()") for piece in NAMES}))
def test_what_is_named_is_there(name):
    assert exists(name)


def test_names_that_are_not_there_would_be_seen():
    assert not exists("fineq.nlqr.no_such_thing")
    assert not exists("fineq.no_such_room.thing")


def entries() -> set[str]:
    """The names that the reference has an entry of."""
    found = {"fineq.run"}
    for page in (DOCS / "reference").glob("*.md"):
        for name, options in re.findall(r"automodule:: (\S+)\n((?: +:.*\n)*)", page.read_text()):
            module = importlib.import_module(name)
            own = [n for n, o in vars(module).items() if getattr(o, "__module__", "") == name]
            left = re.findall(r":exclude-members: (.*)", options)
            inside = getattr(module, "__all__", own) if ":members:" in options else []
            inside = {*inside} - {*", ".join(left).split(", ")}
            rooms = {one for one in inside if isinstance(getattr(module, one), ModuleType)}
            found |= {name, *(f"{name}.{one}" for one in inside - rooms)}
    return found


def test_a_name_within_a_line_leads_to_its_entry_in_the_reference():
    iterate = importlib.import_module("fineq.iterate")
    known = entries() | {f"fineq.{name}" for name in iterate.__all__}
    names = {piece.text.rstrip("()") for piece in NAMES}
    # Studies are read, to be copied; nothing is promised of them.
    assert {name for name in names - known if not name.startswith("fineq.studies")} == set()


@pytest.mark.parametrize("area", AREAS)
def test_each_claim_leads_to_its_code_and_to_the_command_that_draws_it(area):
    """A paragraph begins with its id; what follows, up to the next claim, names both."""
    importlib.import_module(f"fineq.studies.{area}.claims")
    ids = {id for id in REGISTRY if id.startswith(f"{area}/")}
    text = (DOCS / f"{area}.md").read_text()
    starts = re.split(r"^(?=\*\*`|#)", text, flags=re.M)
    found = {}
    for part in starts:
        for id in re.findall(rf"\*\*`({area}/[\w-]+)`", part):
            code = re.findall(r"`(fineq\.[\w.]+)`", part)
            commands = re.findall(rf"`fineq run ({area}/\w+)[^`]*`", part)
            found[id] = (bool(code), bool(commands))
    assert found == dict.fromkeys(ids, (True, True))


@pytest.mark.parametrize("piece", TESTS, ids=lambda piece: piece.id)
def test_the_test_that_holds_a_promise_is_there(piece):
    path, _, test = piece.text.partition("::")
    assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).is_file()


@pytest.mark.parametrize("page", [ROOT / "README.md", *ALL], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for _, line in prose(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            path, _, part = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.is_file(), f"{page.name}: {target}"
            if part:
                headings = re.findall(r"^#+ (.*)$", there.read_text(), re.M)
                assert part in {anchor(text) for text in headings}, f"{page.name}: {target}"


def test_every_page_is_in_the_contents():
    trees = [DOCS / "index.md", DOCS / "reference" / "index.md"]
    listed = set(trees)
    for tree in trees:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", tree.read_text(), re.S):
            names = [line for line in block.split("\n") if line and not line.startswith(":")]
            entries = [re.sub(r".*<(.*)>$", r"\1", name) for name in names]
            listed |= {tree.parent / f"{name}.md" for name in entries}
    assert listed == set(ALL)


def test_every_public_module_has_a_page():
    rooms = {page.stem for page in (DOCS / "reference").glob("*.md")} - {"index", "fineq"}
    assert rooms == {*importlib.import_module("fineq")._ROOMS, "iterate", "interop"}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Where |K - K*| and x_ stand.", r"Where \|K - K\*\| and x\_ stand."),
        ("Of `fineq.solve`, not `[p, n + d]`.", "Of :py:obj:`fineq.solve`, not ``[p, n + d]``."),
        ("The `Step`s, not `step`s.", r"The :py:obj:`Step`\ s, not ``step``\ s."),
    ],
)
def test_a_docstring_is_shown_as_it_is_written(text, made):
    assert to_rst()([text]) == [made, ""]


def test_sections_programs_and_lists_of_a_docstring_keep_their_form():
    lines = ["Args:", "    a, b: two", "        numbers.", "", "    x = 1", "", "* one", "  more"]
    assert to_rst()(lines) == [
        ".. rubric:: Args", "", "* **a, b**: two numbers.", "",
        "::", "", "        x = 1", "",
        "* one more", "",
    ]  # fmt: skip


def test_a_program_is_told_from_prose_without_an_indent():
    assert to_rst()(["x = solve(1)", "x.value"])[0] == "::"
    assert to_rst()(["Solve it."]) == ["Solve it.", ""]
    assert to_rst()(["value"]) == ["value", ""]


def to_rst():
    return importlib.import_module("docstrings").to_rst


def test_notebooks_and_pages_are_those_on_the_disk():
    assert {*PAGES, *NOTEBOOKS} <= {ROOT / "README.md", *map(Path, ALL)}
