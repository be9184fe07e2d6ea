"""The docstrings of the house, plain text, as reStructuredText for autodoc.

What the house writes: paragraphs; code between single backticks; indented programs; tables whose
columns are set apart by spaces; `*` lists; and sections such as `Args:` with one entry a line.
Everything else is text and is escaped, so that `|x|` and `K*` stand as they are written.
"""

import re
from typing import Any

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Warns|Yields):$")
ENTRY = re.compile(r" {4}([\w`*][^:]*): (.*)$")
NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?$")


def inline(text: str) -> str:
    """A paragraph's text: code as literals, names as references, the rest escaped."""
    out = ""
    for i, part in enumerate(re.split(r"`([^`]+)`", text)):
        if i % 2 == 0:
            # Between a literal and a letter reStructuredText wants a separator.
            joint = "\\ " if out and part[:1].isalnum() else ""
            out += joint + re.sub(r"([\\*|_`])", r"\\\1", part)
        else:
            joint = "\\ " if out[-1:].isalnum() else ""
            name = NAME.match(part)
            out += joint + (f":py:obj:`{part}`" if name else f"``{part}``")
    return out


def to_rst(lines: list[str]) -> list[str]:
    """A docstring, dedented, as reStructuredText."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [line for block in blocks if block for line in _block(block)]


def _block(block: list[str]) -> list[str]:
    if SECTION.match(block[0]):
        return _section(block[0].rstrip(":"), block[1:])
    if block[0].startswith("    ") or any(re.search(r"\S {3,}\S", line) for line in block):
        return ["::", "", *(f"    {line}" for line in block), ""]
    if block[0].startswith("* "):
        return _list(block)
    return [inline(" ".join(line.strip() for line in block)), ""]


def _list(block: list[str]) -> list[str]:
    entries: list[str] = []
    for line in block:
        if line.startswith("* "):
            entries.append(line[2:])
        else:
            entries[-1] += " " + line.strip()
    return [f"* {inline(entry)}" for entry in entries] + [""]


def _section(title: str, lines: list[str]) -> list[str]:
    entries: list[str] = []
    for line in lines:
        found = ENTRY.match(line)
        if found and title != "Returns":
            name = re.sub(r"([*_|])", r"\\\1", found[1].replace("`", ""))
            entries.append(f"**{name}**: {{}}{found[2]}")
        elif entries:
            entries[-1] += " " + line.strip()
        else:
            entries.append("{}" + line.strip())
    out = [f".. rubric:: {title}", ""]
    for entry in entries:
        head, text = entry.split("{}", 1)
        out.append(f"* {head}{inline(text)}")
    return [*out, ""]


def _rewrite(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = to_rst(lines)


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of NamedTuples are told by the `Attributes` of their class."""
    return True if "Alias for field number" in (getattr(obj, "__doc__", None) or "") else None


def setup(app: Any) -> dict[str, bool]:
    """Let autodoc hand every docstring over."""
    app.connect("autodoc-process-docstring", _rewrite)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
