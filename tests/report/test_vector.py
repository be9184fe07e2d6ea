"""A drawing on a page is the drawing that matplotlib made: its lines, looks, texts and places."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from fineq.figures import Figure
from fineq.plot import draw, vector
from fineq.report.choices import choices, marks
from fineq.report.mathtext import plain, said, typeset
from fineq.report.vector import inline
from fineq.runs import to_dataset
from tests.report.made import RADII, Node, figures, parsed, result

HREF = "{http://www.w3.org/1999/xlink}href"
LOOKS = ("fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-style")


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    made = result()
    data = to_dataset(made.arrays, made.coords)
    return {figure.name: vector(draw(data, figure)) for figure in figures()}


def on_page(svg: bytes, figure: Figure | None = None) -> Node:
    among = choices(figure) if figure else []
    told = marks(figure, among) if figure else lambda panel, mark: {}
    return parsed(inline(svg, "key", "a label", told)).all("svg")[0]


def style_of(node: ET.Element) -> dict[str, str]:
    pairs = (part.split(":") for part in node.get("style", "").split(";") if part)
    return {name.strip(): value.strip().removesuffix("px") for name, value in pairs}


def as_written(svg: bytes, tag: str) -> list[tuple[ET.Element, dict[str, str]]]:
    """Elements with the looks that they have or inherit, in order."""
    found = []

    def walk(node: ET.Element, looks: dict[str, str]) -> None:
        looks = {**looks, **{k: v for k, v in style_of(node).items() if k in LOOKS}}
        if node.tag.endswith("}" + tag):
            found.append((node, looks))
        for child in node:
            walk(child, looks)

    walk(ET.fromstring(svg), {})
    return found


def as_shown(root: Node, tag: str) -> list[tuple[Node, dict[str, str]]]:
    found = []

    def walk(node: Node, looks: dict[str, str]) -> None:
        looks = {**looks, **{name: node.get(name) for name in LOOKS if name in node.attrs}}
        if node.tag == tag:
            found.append((node, looks))
        for child in node.inside:
            if isinstance(child, Node):
                walk(child, looks)

    walk(root, {})
    return found


def steps_of(path: str) -> list[tuple[str, list[float]]]:
    """Each step of a path with its numbers; points behind those of M and L are lines."""
    found = []
    for letter, rest in re.findall(r"([MLCQz])([^MLCQz]*)", path):
        values = [float(x) for x in rest.split()]
        size = {"M": 2, "L": 2, "C": 6, "Q": 4, "z": 0}[letter]
        for i in range(0, max(len(values), 1), max(size, 1)):
            follows = "L" if letter == "M" and i else letter
            found.append((follows, values[i : i + size]))
    return found


def visible(looks: dict[str, str]) -> bool:
    return not looks.get("fill") == looks.get("stroke", "none") == "none"


@pytest.mark.parametrize("name", ["decay", "power", "plane"])
def test_every_line_has_its_points_and_looks(drawn, name):
    before = [(n, looks) for n, looks in as_written(drawn[name], "path") if visible(looks)]
    # What stands in definitions is drawn where it is used.
    after = as_shown(on_page(drawn[name]), "path")
    assert len(after) == len(before) > 3
    for (old, old_looks), (new, new_looks) in zip(before, after, strict=True):
        steps = [steps_of(path.get("d") or "") for path in (old, new)]
        assert [step for step, _ in steps[0]] == [step for step, _ in steps[1]]
        for (_, one), (_, other) in zip(*steps, strict=True):
            np.testing.assert_allclose(one, other, atol=0.005 + 1e-9)
        for look in ("fill", "stroke", "stroke-width"):
            assert old_looks.get(look) == new_looks.get(look)


def test_marks_stand_where_they_stood(drawn):
    before, after = as_written(drawn["power"], "use"), as_shown(on_page(drawn["power"]), "use")
    assert len(after) == len(before) > 10
    for (old, old_looks), (new, new_looks) in zip(before, after, strict=True):
        assert float(new.get("x")) == pytest.approx(float(old.get("x", "nan")), abs=0.006)
        assert float(new.get("y")) == pytest.approx(float(old.get("y", "nan")), abs=0.006)
        assert {k: new_looks[k] for k in old_looks} == old_looks


def test_texts_are_the_same_and_each_letter_of_a_formula_has_its_place(drawn):
    def letters(text):
        return "".join(text.split())

    before = as_written(drawn["decay"], "text")
    after = as_shown(on_page(drawn["decay"]), "text")
    assert [letters("".join(n.itertext())) for n, _ in before] == [
        letters(n.text.replace("\N{NO-BREAK SPACE}", " ")) for n, _ in after
    ]
    spans = [(x, span.text) for n, _ in after for span in n.all("tspan") for x in [span.get("x")]]
    assert any(len(text) > 3 for _, text in spans)  # letters were put together
    assert all(len(x.split(" ")) == len(text) for x, text in spans)


def test_a_picture_is_held_by_the_page(drawn):
    (image,) = on_page(drawn["plane"]).all("image")
    assert image.get("href").startswith("data:image/png;base64,iVBOR")
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGBA"))
        for text in (as_written(drawn["plane"], "image")[0][0].get(HREF, ""), image.get("href"))
    )
    # In fewer colours: a scale has 256, and what lies between two is one of them.
    assert np.abs(before.astype(int) - after).mean() < 3


def test_names_are_those_of_the_figure_alone(drawn):
    root = on_page(drawn["decay"])
    names = {node.get("id") for node in root.all() if "id" in node.attrs}
    assert names
    assert all(name.startswith("key-") for name in names)
    used = {node.get("href")[1:] for node in root.all("use")}
    used |= {m for n in root.all() for m in re.findall(r"url\(#(.*?)\)", n.get("clip-path"))}
    assert used <= names


def test_only_what_draws_is_left():
    svg = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"
      viewBox="0 0 1 1" onload="alert(1)"><script>alert(1)</script><a x:href="javascript:alert(1)">
      <path d="M 0 0 L 1 1" style="stroke: red"/></a><foreignObject/><!-- $<b>$ -->
      <image x:href="https://example.org/a.png"/><use x:href="https://example.org/a.svg#b"/>
      <g style="fill: red; background: url(https://example.org)" onclick="alert(1)"><text>a
      </text></g><style>*{}</style></svg>"""
    root = on_page(svg)
    assert {node.tag for node in root.all()} <= {"g", "text", "image", "use"}
    assert "example.org" not in inline(svg, "key", "", lambda panel, mark: {})
    assert not [name for node in [root, *root.all()] for name in node.attrs if name[:2] == "on"]
    with pytest.raises(ValueError, match="not an SVG"):
        inline(b"<svg>\x00", "key", "", lambda panel, mark: {})


def test_a_figure_offers_the_values_that_tell_its_lines_apart():
    decay, power, _ = figures()
    assert choices(power) == []
    found = [(choice.dimension, choice.values) for choice in choices(decay)]
    assert found == [("lipschitz", ("0.5", "2")), ("radius", ("1", "3"))]


def test_what_is_drawn_at_a_value_says_so_theory_and_labels_included(drawn):
    """Each panel has one radius and both constants; theory's first line belongs to the first."""
    decay, *_ = figures()
    root = on_page(drawn["decay"], decay)
    told = [node for node in root.all("g") if "data-at-1" in node.attrs]
    panels = [node for node in told if "data-at-0" not in node.attrs]
    assert [node.get("data-at-1") for node in panels] == ["0", "1"]
    for panel in panels:
        told = [node for node in panel.all("g") if "data-at-0" in node.attrs]
        assert {node.get("data-at-0") for node in told} == {"0", "1"}
        texts = {node.text: node.get("data-at-0") for node in told if node.all("text")}
        assert texts == {"ℓ=0.5": "0", "ℓ=2": "1", "theory": "0"}
    assert len(panels) == len(RADII)


def test_formulas_around_figures_are_letters_that_any_font_has():
    assert typeset(r"near $K^*$, $1 - \eta\mu$ <b>") == (
        "near <i>K</i><sup>∗</sup>, 1 − ημ &lt;b&gt;"
    )
    assert plain(r"$K_\mathrm{lin}$ and $\max_t\,\rho_t$") == "Klin and maxt\N{THIN SPACE}ρt"
    assert typeset(r"$\mathrm{KL}^{1/2}$") == "KL<sup>1/2</sup>"
    assert typeset(r"$\bar\alpha^2$").endswith("<sup>2</sup>")
    # What is no formula, or one that is not known, stands as it was written.
    assert typeset("5 $ and <i>") == "5 $ and &lt;i&gt;"
    assert plain(r"$\unknown x$") == "\\unknown x"
    deep = f"${'{' * 10_000}$"
    assert typeset(deep) == deep


def test_indices_of_claims_are_set_and_names_of_fields_are_not():
    assert said("q_t = σ_t² Lip(∇V_{t+1})/β_t <= e^{r/β}") == (
        "q<sub>t</sub> = σ<sub>t</sub>² Lip(∇V<sub>t+1</sub>)/β<sub>t</sub> ≤ e<sup>r/β</sup>"
    )
    assert said("K_lin, max_t ρ_t") == "K<sub>lin</sub>, max<sub>t</sub> ρ<sub>t</sub>"
    assert (
        said("descent.num_steps=3, step_size, <b>") == "descent.num_steps=3, step_size, &lt;b&gt;"
    )


def test_what_some_of_a_group_have_is_not_said_of_all():
    svg = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g style="opacity: 1">
      <path d="M 0 0 L 1 1" style="fill: red; stroke: blue; opacity: 0.5"/>
      <path d="M 0 0 L 2 2" style="stroke: blue; opacity: 0.5"/></g></svg>"""
    (_, first), (_, second) = as_shown(on_page(svg), "path")
    assert (first, second) == ({"fill": "red", "stroke": "blue"}, {"stroke": "blue"})
    # Each has its own opacity: together they would show through one another otherwise.
    assert [node.get("opacity") for node in on_page(svg).all("path")] == ["0.5", "0.5"]
