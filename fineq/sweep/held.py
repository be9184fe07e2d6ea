"""Bytes that a program holds at its fullest, told from its shapes: nothing is compiled or laid out.

Equations are taken as early as what they read allows, as XLA does on CPUs, and each array is alive
from where it is made to its last reader, loops and calls included. XLA fuses elementwise
operations: a result that only such operations read is no array, where one alone reads it or it is
cheap to make again, and what it is made of lives on in its place.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params

from fineq.sweep.memory import tree_bytes

CALLS = {"jit", "checkpoint", "custom_jvp_call", "custom_vjp_call"}
_MOVES = "broadcast_in_dim concatenate copy iota pad reshape rev slice squeeze transpose"
_SIMPLE = "add add_any and convert_element_type div eq ge gt integer_pow le lt max min mul ne neg "
_SIMPLE += "not or select_n sign square stop_gradient sub xor"
_COSTLY = "cos erf erf_inv exp expm1 log log1p logistic pow rsqrt sin sqrt tanh"
_SUMS = "argmax reduce_and reduce_max reduce_min reduce_or reduce_sum"
CHEAP = {*_MOVES.split(), *_SIMPLE.split()}  # made again for each reader
FUSED = {*CHEAP, *_COSTLY.split()}
READERS = {*FUSED, *_SUMS.split()}


class Value:
    """What an equation reads or makes, by identity."""

    def __init__(self, variable: Any) -> None:
        self.bytes = tree_bytes(variable.aval)


class Line(NamedTuple):
    """An equation that is no call: its name, what it reads and makes, programs within it."""

    name: str
    reads: list[Value]
    makes: list[Value]
    inner: list[Jaxpr]


def held_bytes(function: Callable[..., Any], *args: Any) -> int:
    """Bytes that a pure function holds at its fullest, its arguments and results among them.

    Args:
        function: as it will be called.
        args: arrays, or their shapes.
    """
    program = jax.make_jaxpr(function)(*args).jaxpr
    given = [v.aval for v in (*program.invars, *program.constvars)]
    return tree_bytes(given) + _fullest(program)


def _fullest(program: Jaxpr) -> int:
    """The most bytes at once of what a program makes, what it is given aside."""
    known = {v: Value(v) for v in (*program.constvars, *program.invars)}
    lines = list(_lines(program, known))
    results = {known[v] for v in program.outvars if not isinstance(v, Literal)}
    lines = _early(_needed(lines, results))
    arrays, ends = _arrays(lines, results)
    held = most = 0
    for i, line in enumerate(lines):
        new = sum(value.bytes for value in line.makes if value in arrays)
        gone = sum(value.bytes for value in ends[i])
        # An elementwise result may take the place of what it is made of.
        in_place = min(new, gone) if line.name in FUSED else 0
        most = max(most, held + new - in_place + max(map(_fullest, line.inner), default=0))
        held += new - gone
    return most


def _lines(program: Jaxpr, known: dict[Any, Value]) -> Iterator[Line]:
    """The equations of a program, those of calls in their place; `known` learns their results."""

    def value(variable: Any) -> Value:
        return Value(variable) if isinstance(variable, Literal) else known[variable]

    for equation in program.eqns:
        inner = list(jaxprs_in_params(equation.params))
        if equation.primitive.name in CALLS:
            own = dict(zip(inner[0].invars, map(value, equation.invars), strict=True))
            own |= {v: Value(v) for v in inner[0].constvars}
            yield from _lines(inner[0], own)
            made = [Value(v) if isinstance(v, Literal) else own[v] for v in inner[0].outvars]
        else:
            made = [Value(v) for v in equation.outvars]
            reads = [known[v] for v in equation.invars if not isinstance(v, Literal)]
            yield Line(equation.primitive.name, reads, made, inner)
        known.update(zip(equation.outvars, made, strict=True))


def _needed(lines: Sequence[Line], results: set[Value]) -> list[Line]:
    """The equations that results hang on, with what of theirs is read."""
    read, found = set(results), []
    for line in reversed(lines):
        makes = [value for value in line.makes if value in read]
        if makes:
            found.append(line._replace(makes=makes))
            read.update(line.reads)
    return found[::-1]


def _early(lines: Sequence[Line]) -> list[Line]:
    """The equations by how many others, elementwise ones apart, come before them in turn."""
    depth: dict[Value, int] = {}
    for line in lines:
        before = max((depth.get(value, 0) for value in line.reads), default=0)
        depth |= dict.fromkeys(line.makes, before + (line.name not in FUSED))
    return sorted(lines, key=lambda line: depth[line.makes[0]])


def _arrays(
    lines: Sequence[Line], results: set[Value]
) -> tuple[set[Value], dict[int, list[Value]]]:
    """Which values are arrays, and those that no equation after the i-th reads."""
    readers: dict[Value, list[str]] = defaultdict(list)
    for line in lines:
        for value in {*line.reads}:
            readers[value].append(line.name)

    def fused(line: Line, value: Value) -> bool:
        again = line.name in CHEAP or len(readers[value]) == 1
        return line.name in FUSED and again and READERS.issuperset(readers[value])

    made_of: dict[Value, set[Value]] = {}
    last: dict[Value, int] = {}
    for i, line in enumerate(lines):
        sources = set().union(*(made_of.get(value, set()) for value in line.reads))
        last |= dict.fromkeys(sources, i)
        for value in line.makes:
            own = value in results or not fused(line, value)
            made_of[value] = {value} if own else sources
    arrays = {value for value, sources in made_of.items() if value in sources}
    ends: dict[int, list[Value]] = defaultdict(list)
    for value in arrays - results:
        ends[last[value]].append(value)
    return arrays, ends
