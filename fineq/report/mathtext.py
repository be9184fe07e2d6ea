r"""The mathematics in captions and titles, `$K_\mathrm{lin}$`, as HTML that any font can show.

Figures are typeset by matplotlib; around them what is between two `$` becomes letters of Unicode
with `<sub>` and `<sup>`. What is not known here stands as it was written. Claims say theirs in
letters, `V_{t+1} <= e^{r/β}`: there a part in braces, or behind a single letter, is set likewise.
"""

import html
import re
import unicodedata
from collections.abc import Iterator

from fineq.report.elements import Markup, element, joined

_SYMBOLS = {
    "ell": "ℓ",
    "propto": "∝",
    "sum": "Σ",
    "nabla": "∇",
    "infty": "∞",
    "times": "×",
    "leq": "≤",
    "geq": "≥",
    "approx": "≈",
    "to": "→",
    "cdot": "·",
    "partial": "∂",
    "in": "∈",
    ",": "\N{THIN SPACE}",
    ";": " ",
    " ": " ",
    "!": "",
    "|": "‖",
    "{": "{",
    "}": "}",
}
_WORDS = ("max", "min", "log", "exp", "sup", "inf", "det")
_ACCENTS = {"bar": "\N{COMBINING MACRON}", "hat": "\N{COMBINING CIRCUMFLEX ACCENT}"}
_ACCENTS |= {"tilde": "\N{COMBINING TILDE}"}
_UPRIGHT = ("mathrm", "mathdefault", "mathbf", "text")
_RELATIONS = {"<=": "≤", ">=": "≥"}
_INDEX = re.compile(
    r"([_^])\{([^{}]*)\}|(?:(?<=\b[^\W\d_])|(?<=\bmax))_([A-Za-z0-9]{1,3})(?![A-Za-z0-9_])"
)
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_]|\s+|.", re.DOTALL)


def typeset(text: str) -> Markup:
    """Return a text with its mathematics set; a `$` without its other is a `$`."""
    parts = re.split(r"(?<!\\)\$", text)
    if len(parts) % 2 == 0:
        return joined(text)
    try:
        return joined(_formula(part) if i % 2 else said(part) for i, part in enumerate(parts))
    except RecursionError:  # braces in braces, beyond all measure
        return joined(text)


def said(text: str) -> Markup:
    """Return a statement, a formula or a reason with relations as signs and indices set."""
    for letters, sign in _RELATIONS.items():
        text = text.replace(letters, sign)
    return joined(_indexed(text))


def _indexed(text: str) -> Iterator[Markup | str]:
    end = 0
    for found in _INDEX.finditer(text):
        yield text[end : found.start()]
        yield element("sup" if found[1] == "^" else "sub", found[2] or found[3] or "")
        end = found.end()
    yield text[end:]


def plain(text: str) -> str:
    """Return a text with its mathematics in letters alone, for what is read aloud."""
    return html.unescape(re.sub(r"<[^>]*>", "", typeset(text)))


def _formula(text: str) -> Markup:
    return joined(_many(iter(_TOKEN.findall(text))))


def _many(tokens: Iterator[str]) -> list[Markup]:
    found = []
    for token in tokens:
        if token == "}":
            break
        found.append(_one(token, tokens))
    return found


def _one(token: str, tokens: Iterator[str]) -> Markup:
    """What a token, with those that belong to it, stands for."""
    if token == "{":
        return joined(_many(tokens))
    if token in "^_":
        name = "sup" if token == "^" else "sub"
        return element(name, _one(next(tokens, ""), tokens)) if token else Markup("")
    if token.startswith("\\"):
        return _macro(token[1:], tokens)
    if token.isspace():
        return Markup(" ")
    letter = {"-": "−", "*": "∗"}.get(token, token)
    return element("i", letter) if letter.isalpha() else joined(letter)


def _macro(name: str, tokens: Iterator[str]) -> Markup:
    if name in _ACCENTS:
        below = _one(next(tokens, ""), tokens).removesuffix("</i>")
        return element("i", Markup(below.removeprefix("<i>")), _ACCENTS[name])
    if name in _UPRIGHT:
        return Markup(re.sub(r"</?i>", "", _one(next(tokens, ""), tokens)))
    return joined(_SYMBOLS.get(name, name if name in _WORDS else _greek(name)))


def _greek(name: str) -> str:
    size = "CAPITAL" if name[:1].isupper() else "SMALL"
    spelt = name.upper().replace("LAMBDA", "LAMDA")
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {spelt}")
    except KeyError:
        return f"\\{name}"
