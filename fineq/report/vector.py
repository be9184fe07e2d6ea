"""A drawn figure as a part of a page: one SVG element, safe beside other figures' and in any theme.

What matplotlib writes is parsed and written anew. Only elements and attributes that draw remain;
styles become attributes, for a page that allows no inline style; names that figures refer to are
made the figure's own. Coordinates are rounded to hundredths, and what neighbours share is said once
by their group, which halves the size.
"""

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping

from fineq.report.elements import Markup, element

_DRAWS = (
    "svg",
    "g",
    "defs",
    "clipPath",
    "pattern",
    "path",
    "rect",
    "use",
    "text",
    "tspan",
    "image",
)
_PLACES = (
    "x",
    "y",
    "width",
    "height",
    "d",
    "transform",
    "viewBox",
    "clip-path",
    "preserveAspectRatio",
)
_LOOKS = ("fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity")
_LOOKS += ("stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin")
_LOOKS += ("font-size", "font-family", "font-style", "font-weight", "text-anchor")
_ALONE = ("opacity",)  # a group's would be that of all that it holds together
_PLAIN_FONT = "'DejaVu Sans'"  # the page names it, and what takes its place, once
_FRACTION = re.compile(r"-?\d*\.\d{3,}(?:e[-+]?\d+)?")
_REFERENCE = re.compile(r"url\(#([\w.-]+)\)")
_AXES = re.compile(r"axes_(\d+)")
_DATA = "data:image/png;base64,"

Marks = Callable[[int, str], Mapping[str, str]]


def inline(svg: bytes, prefix: str, label: str, marks: Marks) -> Markup:
    """Return what `fineq.plot.vector` drew as an element of a page.

    Args:
        svg: the drawing.
        prefix: begins every name in it; no other figure of the page has it.
        label: read aloud in place of the drawing.
        marks: from the panel and the mark of a group (`line:0`) to attributes that it is given.

    Raises:
        ValueError: for what is no SVG.
    """
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise ValueError(f"not an SVG: {error}") from None
    drawn = _Copy(prefix, marks).of(root, -1)
    _hoist(drawn)
    drawn.attrib = {
        "viewBox": drawn.get("viewBox", ""),
        "role": "img",
        "aria-label": label,
        "stroke-linejoin": "round",
        **{name: value for name, value in drawn.attrib.items() if name in _LOOKS},
    }
    return _written(drawn)


def _written(node: ET.Element) -> Markup:
    inside = [node.text or "", *map(_written, node)]
    return element(node.tag, *inside, **node.attrib)


class _Copy:
    """Copies what draws, each name with the prefix."""

    def __init__(self, prefix: str, marks: Marks):
        self._prefix = prefix
        self._marks = marks

    def of(self, node: ET.Element, panel: int) -> ET.Element:
        tag, name = _local(node.tag), node.get("id", "")
        if begins := _AXES.fullmatch(name):
            panel = int(begins[1]) - 1
        copy = ET.Element(tag, self._attributes(node))
        if tag == "g":
            copy.attrib |= self._marks(panel, name)
        elif name and tag in ("path", "clipPath", "pattern"):
            copy.set("id", self._own(name))
        if tag in ("text", "tspan"):
            copy.text = _spaced(node.text or "")
        inside = [self.of(child, panel) for child in node if _local(child.tag) in _DRAWS]
        copy.extend(_merged(inside) if tag == "text" else _shown(inside))
        return copy

    def _attributes(self, node: ET.Element) -> dict[str, str]:
        known = {name: _rounded(node.get(name, "")) for name in _PLACES if name in node.attrib}
        if "d" in known:
            known["d"] = _path(known["d"])
        if known.get("transform", "").startswith("rotate(-0 "):  # matplotlib's way to say: upright
            del known["transform"]
        known |= dict(_styles(node.get("style", "")))
        known |= {name: node.get(name, "") for name in (*_LOOKS, *_ALONE) if name in node.attrib}
        known = {name: _REFERENCE.sub(self._url, value) for name, value in known.items()}
        for name, value in node.attrib.items():
            if _local(name) == "href":
                known |= self._target(value)
        return known

    def _target(self, value: str) -> dict[str, str]:
        """What a `use` or an `image` shows: a part of this figure, or a picture that it holds."""
        if value.startswith("#"):
            return {"href": f"#{self._own(value[1:])}"}
        return {"href": _lighter(value)} if value.startswith(_DATA) else {}

    def _url(self, match: re.Match) -> str:
        return f"url(#{self._own(match[1])})"

    def _own(self, name: str) -> str:
        return f"{self._prefix}-{name}"


def _lighter(picture: str) -> str:
    """A picture in 256 colours: some steps of 255 off, and a sixth of its weight."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(picture[len(_DATA) :]))) as image:
        few = image.quantize(256, Image.Quantize.FASTOCTREE)
    content = io.BytesIO()
    few.save(content, "PNG", optimize=True)
    return _DATA + base64.b64encode(content.getvalue()).decode()


def _local(name: object) -> str:
    """A name without its name space; comments have none."""
    return str(name).rpartition("}")[2]


def _spaced(text: str) -> str:
    """A text whose spaces stay where they are, however many there are."""
    return "" if text.isspace() and "\n" in text else text.replace(" ", "\N{NO-BREAK SPACE}")


def _styles(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(";"):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name in (*_LOOKS, *_ALONE) and (name, value) != ("font-family", _PLAIN_FONT):
            yield name, value.removesuffix("px") if name == "font-size" else value


def _rounded(text: str) -> str:
    short = _FRACTION.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), text)
    return " ".join(short.split())


def _path(text: str) -> str:
    """A path without what follows from what stands before: points behind M or L have a line."""
    kept, last = [], ""
    for word in text.split(" "):
        if word == "L" and last in ("M", "L"):
            continue
        kept.append(word)
        last = word if word.isalpha() else last
    return " ".join(kept)


def _shown(nodes: list[ET.Element]) -> Iterator[ET.Element]:
    """What is left: no empty groups, no clear areas; of plain groups what they hold."""
    for node in nodes:
        if node.tag == "g" and not node.attrib:
            yield from node
        elif node.tag == "path" and not node.get("id"):
            if (node.get("fill"), node.get("stroke", "none")) != ("none", "none"):
                yield node
        elif node.tag not in ("g", "defs") or len(node):
            yield node


def _merged(letters: list[ET.Element]) -> list[ET.Element]:
    """Letters of a formula on one line and of one look as one text, each still at its place."""
    found: list[ET.Element] = []
    for letter in letters:
        last = found[-1] if found else None
        if last is not None and _but_x(last) == _but_x(letter) and len(letter.text or "") == 1:
            last.set("x", f"{last.get('x')} {letter.get('x')}")
            last.text = f"{last.text}{letter.text}"
        else:
            found.append(letter)
    return found


def _but_x(node: ET.Element) -> dict[str, str]:
    return {name: value for name, value in node.attrib.items() if name != "x"}


def _hoist(node: ET.Element) -> None:
    """Say of a group what all that it holds has in common; definitions inherit from elsewhere."""
    inside = [child for child in node if child.tag != "defs"]
    for child in inside:
        _hoist(child)
    if node.tag not in ("g", "text") or not inside:
        return
    for name in _LOOKS:
        value = inside[0].get(name)
        if value is not None and all(child.get(name) == value for child in inside):
            node.attrib.setdefault(name, value)
            for child in inside:
                if child.get(name) == node.get(name):
                    del child.attrib[name]
