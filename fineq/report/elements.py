"""HTML as nested calls, in which every text is escaped unless it is an element already.

    element("p", "a < b, ", element("b", "bold"), class_="note")

gives `<p class="note">a &lt; b, <b>bold</b></p>`. What a run says enters a page as text or as the
value of an attribute, never as markup.
"""

import html
import re
from collections.abc import Iterable
from typing import Any

# Elements without an end; names of elements and attributes are ours, never a run's.
_VOID = ("meta", "input", "br", "img")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:-]*")
# Letters that show nothing, end a file or turn the direction of the text after them.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Child = Any  # a text, a number, Markup, None, or an iterable of these


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: Child, **attributes: Any) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        children: texts, which are escaped; elements, which are not; iterables of them; None: none.
        attributes: `_` stands for `-`, and a last one is dropped (`class_`); True is an attribute
            without a value, None and False are none.
    """
    begin = "".join(_attribute(key, value) for key, value in attributes.items())
    start = f"<{_checked(name)}{begin}>"
    return Markup(start if name in _VOID else f"{start}{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Return children one behind the other."""
    return Markup("".join(_texts(children)))


def apart(children: Iterable[Child]) -> Markup:
    """Return children with a space between any two, so that a line may break there."""
    return Markup(" ".join(joined(child) for child in children if child is not None))


def _texts(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, (str, int, float)):
            yield escaped(child)
        elif child is not None:
            yield from _texts(child)


def escaped(text: Any) -> Markup:
    """Return a text as HTML that shows it."""
    return Markup(html.escape(_HIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(text)), quote=True))


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = _checked(key.removesuffix("_").replace("_", "-"))
    return f" {name}" if value is True else f' {name}="{escaped(value)}"'


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"no name of an element or an attribute: {name!r}")
    return name
