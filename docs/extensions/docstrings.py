"""The docstrings of the house, plain text, as reStructuredText for autodoc.

What the house writes: paragraphs; code between single backticks; indented programs; tables whose
columns are set apart by spaces; `*` lists; and sections such as `Args:` with one entry a line.
Everything else is text and is escaped, so that `|x|` and `K*` stand as they are written.
"""

import ast
import re
from typing import Any

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Warns|Yields):$")
ENTRY = re.compile(r" {4}([\w`*][^:]*): (.*)$")
NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?$")
# Within a function's docstring `step` or `cost` is as often a word for something else.
CERTAIN = re.compile(r"[A-Z]\w*(\.\w+)*$|\w+\.[\w.]+(\(\))?$|[a-z]+_\w+$")


def inline(text: str, names: re.Pattern[str] = CERTAIN) -> str:
    """A paragraph's text: code as literals, names as references, the rest escaped."""
    out = ""
    for i, part in enumerate(re.split(r"`([^`]+)`", text)):
        if i % 2 == 0:
            # Between a literal and a letter reStructuredText wants a separator.
            joint = "\\ " if out and part[:1].isalnum() else ""
            out += joint + re.sub(r"([\\*|_`])", r"\\\1", part)
        else:
            joint = "\\ " if out[-1:].isalnum() else ""
            out += joint + (f":py:obj:`{part}`" if names.match(part) else f"``{part}``")
    return out


def to_rst(lines: list[str], names: re.Pattern[str] = CERTAIN) -> list[str]:
    """A docstring, dedented, as reStructuredText; code that matches `names` becomes a reference."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [line for block in blocks if block for line in _block(block, names)]


def _block(block: list[str], names: re.Pattern[str]) -> list[str]:
    if SECTION.match(block[0]):
        return _section(block[0].rstrip(":"), block[1:])
    table = any(re.search(r"\S {3,}\S", line) for line in block)
    if block[0].startswith("    ") or table or _program(block):
        return ["::", "", *(f"    {line}" for line in block), ""]
    if block[0].startswith("* "):
        return _list(block)
    return [inline(" ".join(line.strip() for line in block), names), ""]


def _program(block: list[str]) -> bool:
    """Whether a block is Python: where all lines are indented, no indent is left to tell."""
    try:
        body = ast.parse("\n".join(block)).body
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Call) for line in body for node in ast.walk(line))


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
    lines[:] = to_rst(lines, NAME if what == "module" else CERTAIN)


def _sign(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: Any
) -> tuple[str | None, Any]:
    """Defaults that are objects, by their names or as `...`: Sphinx then reads the signature."""
    if signature is not None:
        signature = re.sub(r"<function (\w+)[^>]*>", r"\1", signature)
        signature = re.sub(r"<[^<>]*>", "...", signature)
    return signature, returns


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of NamedTuples are told by the `Attributes` of their class."""
    return True if "Alias for field number" in (getattr(obj, "__doc__", None) or "") else None


def setup(app: Any) -> dict[str, bool]:
    """Let autodoc hand every docstring over."""
    app.connect("autodoc-process-docstring", _rewrite)
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
