"""What README, docs and configuration files tell people to type."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
COMMAND = re.compile(r"(?:python -m |make |fineq |\. )")
# A fence, and what of the language behind it is read; what is fenced in another one is not.
FENCE = re.compile(r"```(.*)$")
PYTHON = ("python", "{code-cell}")
READ = ("sh", *PYTHON)
# What zsh or another shell reads as more than itself where it is not quoted.
SPECIAL = set("[]*?{}()<>|;&$`!^")


class Piece(NamedTuple):
    """A command or a Python program, and where it stands."""

    text: str
    page: str
    line: int

    @property
    def id(self) -> str:
        """For people."""
        return f"{self.page}:{self.line}"

    @property
    def words(self) -> list[str]:
        """The words of a command, without its comment."""
        return shlex.split(self.text, comments=True)


class Block(NamedTuple):
    """Indented lines of a page, or fenced ones with their language; with their numbers."""

    language: str
    lines: list[tuple[int, str]]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, blank lines within kept."""
    found: list[Block] = []
    inside, fence = False, None
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        mark = FENCE.match(line)
        if mark:
            fence, inside = mark[1] if fence is None else None, False
            if fence in READ:
                found.append(Block(fence, []))
        elif fence is not None:
            if fence in READ:
                found[-1].lines.append((number, line))
        elif line.startswith("    "):
            if not inside:
                found.append(Block("", []))
            found[-1].lines.append((number, line[4:]))
            inside = True
        elif line.strip():
            inside = False
        elif inside:
            found[-1].lines.append((number, ""))
    return found


def commands() -> list[Piece]:
    """Every command that stands in a block of a page."""
    return [
        Piece(line, page.name, number)
        for page in PAGES
        for block in blocks(page)
        for number, line in block.lines
        if COMMAND.match(line)
    ]


def programs(page: Path) -> list[Piece]:
    """The Python programs of a page: what is fenced as such, or indented and imports or defines.

    A first line `# name.py` says under which name people are to keep it.
    """
    found = []
    for block in blocks(page):
        lines = [(number, line) for number, line in block.lines if not COMMAND.match(line)]
        text = "\n".join(line for _, line in lines).strip("\n")
        indented = not block.language and re.search(r"^(?:import|from|def) ", text, re.M)
        if indented or block.language in PYTHON:
            found.append(Piece(text + "\n", page.name, lines[0][0]))
    return found


def prose(page: Path) -> list[tuple[int, str]]:
    """The lines of a page that stand in no block, with their numbers."""
    fenced, found = False, []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            found.append((number, line))
    return found


def spans() -> list[Piece]:
    """Every piece of code within the lines of a page."""
    return [
        Piece(text, page.name, number)
        for page in (*PAGES, *NOTEBOOKS)
        for number, line in prose(page)
        for text in re.findall(r"`([^`]+)`", line)
    ]


def unquoted(text: str) -> str:
    """The special characters of a command line outside of quotes; a comment does not count."""
    bare = re.sub(r"'[^']*'|\"[^\"$`!]*\"|(?:^|\s)#.*$", "", text)
    return "".join(sorted(SPECIAL & set(bare)))
