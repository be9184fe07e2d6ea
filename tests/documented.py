"""What README, docs and configuration files tell people to type."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COMMAND = re.compile(r"(?:python -m |make |\. )")
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


def blocks(page: Path) -> list[list[tuple[int, str]]]:
    """The indented blocks of a page, line by line with their numbers; blank lines within kept."""
    found: list[list[tuple[int, str]]] = []
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith("    "):
            if not inside:
                found.append([])
            found[-1].append((number, line[4:]))
            inside = True
        elif line.strip():
            inside = False
        elif inside:
            found[-1].append((number, ""))
    return found


def commands() -> list[Piece]:
    """Every command that stands in a block of a page."""
    return [
        Piece(line, page.name, number)
        for page in PAGES
        for block in blocks(page)
        for number, line in block
        if COMMAND.match(line)
    ]


def programs(page: Path) -> list[Piece]:
    """The Python programs of a page: what stands in its blocks and is neither command nor formula.

    A first line `# name.py` says under which name people are to keep it.
    """
    found = []
    for block in blocks(page):
        lines = [(number, line) for number, line in block if not COMMAND.match(line)]
        text = "\n".join(line for _, line in lines).strip("\n")
        if re.search(r"^(?:import|from|def) ", text, re.M):
            found.append(Piece(text + "\n", page.name, lines[0][0]))
    return found


def spans() -> list[Piece]:
    """Every piece of code within the lines of a page."""
    return [
        Piece(text, page.name, number)
        for page in PAGES
        for number, line in enumerate(page.read_text().splitlines(), start=1)
        if not line.startswith("    ")
        for text in re.findall(r"`([^`]+)`", line)
    ]


def unquoted(text: str) -> str:
    """The special characters of a command line outside of quotes; a comment does not count."""
    bare = re.sub(r"'[^']*'|\"[^\"$`!]*\"|(?:^|\s)#.*$", "", text)
    return "".join(sorted(SPECIAL & set(bare)))
