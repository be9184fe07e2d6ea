"""Values as people and machines mistype them, and values that a field takes."""

from random import Random
from typing import Any

from fineq.settings.fields import Leaf

EMPTY = ("", " ", "null", "~", "''", "[]", "{}", "[[]]", "[{}]", "[null]", "''''")
NUMBERS = ("0", "-0.0", "1", "2", "-1", "1.5", "007", "1_000", "0x10", "1e300", "-1e300", "1e-300")
NUMBERS += ("1e400", "inf", "-inf", "nan", "NaN", "10000000000000000000", "100000000000", "٣", "½")
TEXTS = (
    "abc",
    "true",
    "False",
    "é",
    "日本",
    "😀",
    "\u202e",
    "\udcff",
    "a b",
    "a\tb",
    "a\nb",
    "\x07",
)
TEXTS += ("'", '"', "'a", '"a"', "it's", "\\", "a\\", "\\'", "a\\b", "%s", "#", "@", "!", "$HOME")
TEXTS += ("a=b", "=", "==", "a:b", ":", "a,b", ",", ";", "|", "*", "..", "../x", "a/b", "x" * 300)
BRACKETS = ("[", "]", "{", "}", "(", ")", "[1,2", "1,2]", "[1,,2]", "{a:1}", "{a:}", "[" * 60)
BRACKETS += ("[1,[2]]", "[[1,2],[3]]", "[{a:1}]", "{a:{b:[1]}}", "[" * 60 + "]" * 60)
GRAMMAR = ("${seeds}", "${", "${}", "$", "${a", "${oc.env:HOME}", "${oc.env:NONE}", "${..seeds}")
GRAMMAR += ("${hydra:job.name}", "${${seeds}}", "${system}", "'${seeds}'", "[${seeds}]", "???")
GRAMMAR += ("choice(1,2)", "range(1,3)", "interval(0,1)", "glob(*)", "sort(3,1)", "int(a)", "f(x)")
GRAMMAR += ("shuffle(1,2)", "extend_list(1)", "tag(a,1)", "str(1)", "float(1)", "json_str(1)")
LISTS = ("[1,2]", "[2,4]", "[0.1,0.3]", "[a,b]", "['2','4']", "[null,1]", "[1e300]", "[inf]")
LISTS += ("[nan]", "[true]", "[true,false]", "[1,1]", "[2,1]", "[-1]", "[0]", "[1.5]", "[2,4,a]")
LISTS += ("[10000000000000000000]", "1,2", "0.1,0.3", "[[2,1]]", "[[2,1],[2,1]]", "['']", "[é]")
TARGETS = (
    "math:sin",
    "math:pi",
    "os:getcwd",
    "os.path:join",
    "nowhere:f",
    ":",
    "a:",
    ":a",
    "a:b:c",
)
TARGETS += ("jax.numpy:sum", "jax.numpy:cos", "jax.numpy:sin", "numpy:sin", "builtins:print", ".:f")
HUGE = ("100000", "3000000000", "100000000000", "10000000000000000000", "1e15", "1e30", "1e300")
NASTY = (EMPTY, NUMBERS, TEXTS, BRACKETS, GRAMMAR, LISTS, TARGETS)


def nasty(draw: Random) -> str:
    """A value from the pool, each kind as often as the others."""
    return draw.choice(draw.choice(NASTY))


def bad(draw: Random, leaf: Leaf) -> str:
    """A value from the pool; for a number more often one that is out of bounds."""
    if draw.random() < 0.4 and isinstance(leaf.value, int | float | None):
        return draw.choice(draw.choice((HUGE, NUMBERS)))
    return nasty(draw)


def plausible(draw: Random, leaf: Leaf) -> str:
    """A value that the field may well take, or that lies on the edge of what it takes."""
    spec = leaf.spec
    edges = [x for x in (spec.minimum, spec.maximum, spec.above, spec.below) if x is not None]
    if spec.choices:
        return draw.choice(spec.choices)
    if "bool" in str(leaf.annotation):
        return draw.choice(("true", "false"))
    if isinstance(leaf.value, list):
        return written([value for value in leaf.value if draw.random() < 0.7])
    if isinstance(leaf.value, float) or "float" in str(leaf.annotation):
        return repr(draw.choice([*map(float, edges), leaf.value or 1.0, 0.5, 1.5]))
    if isinstance(leaf.value, int) or "int" in str(leaf.annotation):
        return repr(draw.choice([*map(int, edges), leaf.value or 2, 1, 2, 3]))
    return leaf.value or "abc"


def written(value: Any) -> str:
    """A nested list as a word of the command line."""
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return "null" if value is None else str(value)


def elements(draw: Random, values: list) -> str:
    """A list of which some elements are not what they should be."""
    parts = [written(value) for value in values] or ["1", "2"]
    for _ in range(draw.randint(1, 2)):
        at = draw.randrange(len(parts) + 1)
        if draw.random() < 0.5 and at < len(parts):
            parts[at] = nasty(draw)
        else:
            parts.insert(at, nasty(draw))
    return "[" + ",".join(parts) + "]"


def misspelt(draw: Random, name: str) -> str:
    """A name with a letter lost, doubled, swapped or strange."""
    at = draw.randrange(len(name))
    letter = draw.choice(("", name[at] * 2, "é", ".", " ", "[", name[at].swapcase(), "$", "/", "-"))
    return name[:at] + letter + name[at + 1 :]
