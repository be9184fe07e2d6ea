"""Which changes of the code would the tests catch: one operator, constant or index at a time.

    python -m tests.mutate                        # 150 changes of all rooms, drawn with seed 0
    python -m tests.mutate rates sweep --number 40 --seed 3
    python -m tests.mutate --only 17              # one of them again

Each change is made in a copy of the tree, and the tests that know the changed module run there,
those that mirror it first, until one fails. What no test catches is printed: it changes nothing
(equivalent), or wants a test. Not part of `make test`: a hundred changes take an hour of two cores.
"""

import argparse
import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("nlqr", "pift", "ntk", "ddpm", "finetune", "rates", "sweep")
SECONDS = 900  # of processors; a change that makes a loop endless is caught by it
ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*"}
ORDERS = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}
LOGIC = {ast.And: "or", ast.Or: "and", ast.BitAnd: "|", ast.BitOr: "&"}
SWAPPED: dict[type, str] = {**ARITHMETIC, **ORDERS, **LOGIC}
SIGNS = {ast.USub: "-", ast.Not: "not ", ast.Invert: "~"}
NAMES = {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "any": "all"}
NAMES |= {"all": "any", "argmax": "argmin", "argmin": "argmax", "sum": "mean", "mean": "sum"}


class Change(NamedTuple):
    """The text between two places of a file is replaced."""

    path: str
    begin: int
    end: int
    old: str
    new: str

    def made(self, source: str) -> str:
        """The source with the change."""
        return source[: self.begin] + self.new + source[self.end :]

    def line(self, source: str) -> str:
        """The line that is changed, as it was."""
        number = source.count("\n", 0, self.begin)
        return f"{self.path}:{number + 1}: {source.splitlines()[number].strip()}"


class Places(ast.NodeVisitor):
    """All changes of one file; annotations, docstrings and messages are left alone."""

    def __init__(self, path: str, source: str) -> None:
        self.path, self.source = path, source
        starts = [0]
        for text in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(text))
        self.starts = starts
        self.found: list[Change] = []

    def at(self, line: int, column: int) -> int:
        """The place in the text of a column, which ast counts in bytes."""
        text = self.source[self.starts[line - 1] : self.starts[line]]
        return self.starts[line - 1] + len(text.encode()[:column].decode())

    def add(self, begin: int, end: int, new: str) -> None:
        """Note a change."""
        old = self.source[begin:end]
        if old.strip() != new.strip():
            self.found.append(Change(self.path, begin, end, old, new))

    def ends(self, node: ast.expr) -> tuple[int, int]:
        """Where an expression begins and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = self.at(node.lineno, node.col_offset)
        return begin, self.at(node.end_lineno, node.end_col_offset)

    def between(self, left: ast.expr, right: ast.expr, kind: type) -> None:
        """Swap the operator between two expressions."""
        begin, end = self.ends(left)[1], self.ends(right)[0]
        gap = self.source[begin:end]
        if kind in SWAPPED and gap.strip("() \n\t").count("#") == 0 and gap.strip("() \n\t"):
            core = gap.strip("() \n\t")
            place = begin + gap.index(core)
            self.add(place, place + len(core), SWAPPED[kind])

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Sums, products and powers; not texts."""
        texts = (ast.Constant, ast.JoinedStr)
        if not any(isinstance(n, texts) and _is_text(n) for n in (node.left, node.right)):
            self.between(node.left, node.right, type(node.op))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Comparisons."""
        sides = [node.left, *node.comparators]
        for left, right, op in zip(sides, sides[1:], node.ops, strict=False):
            self.between(left, right, type(op))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """And, or."""
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, type(node.op))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """A sign or a negation is dropped."""
        begin, sign = self.ends(node)[0], SIGNS.get(type(node.op), "")
        if sign:
            self.add(begin, begin + len(sign), "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Numbers grow by one, or double; truths are turned around."""
        if isinstance(node.value, bool):
            self.add(*self.ends(node), str(not node.value))
        elif isinstance(node.value, int):
            self.add(*self.ends(node), str(node.value + 1))
        elif isinstance(node.value, float):
            self.add(*self.ends(node), repr(2 * node.value or 1.0))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """`jnp.maximum` for `jnp.minimum` and the like."""
        if node.attr in NAMES:
            end = self.ends(node)[1]
            self.add(end - len(node.attr), end, NAMES[node.attr])
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The value alone."""
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """No annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Body and defaults, not what is returned by type."""
        for part in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(part)

    def visit_Raise(self, node: ast.Raise) -> None:
        """No messages."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """No texts."""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)


def changes_of(path: Path) -> list[Change]:
    """Every change of a file."""
    source = path.read_text()
    places = Places(str(path.relative_to(ROOT)), source)
    places.visit(ast.parse(source))
    return places.found


def drawn(rooms: list[str], number: int, seed: int) -> list[Change]:
    """Changes drawn evenly over the lines that can be changed."""
    files = sorted(path for room in rooms for path in (ROOT / "fineq" / room).rglob("*.py"))
    found = [change for path in files for change in changes_of(path)]
    return random.Random(seed).sample(found, min(number, len(found)))


def tests_of(change: Change) -> list[str]:
    """Test files: those that mirror the changed module, those that know it, those of its room."""
    module = change.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    package, _, name = module.rpartition(".")
    room = Path("tests", *module.split(".")[1:2])
    mirrors, knowing, others = [], [], []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        inside, text = path.relative_to(ROOT), path.read_text()
        named = f"from {package} import" in text and name in text
        if inside.is_relative_to(room) and path.stem.startswith(f"test_{name}"):
            mirrors.append(str(inside))
        elif module in text or named:
            knowing.append(str(inside))
        elif inside.is_relative_to(room):
            others.append(str(inside))
    return mirrors + knowing + others


def tried(change: Change) -> str:
    """`caught`, `endless` or `survived`, from tests in a copy of the tree."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("fineq", "experiments", "tests", "configs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        target = copy / change.path
        target.write_text(change.made(target.read_text()))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p"]
        command += ["no:cacheprovider", *tests_of(change)]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            ["bash", "-c", f'ulimit -t {SECONDS}; exec "$@"', "tests", *command],
            cwd=copy,
            env=environment,
            capture_output=True,
        )
        # Time of processors, not of a clock: a machine with other work ends nothing.
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return "endless"
        return "survived" if done.returncode == 0 else "caught"


def _report(changes: list[Change], chosen: list[int], workers: int) -> Iterator[str]:
    with ThreadPoolExecutor(workers) as pool:
        for number, ended in zip(
            chosen, pool.map(lambda i: tried(changes[i]), chosen), strict=True
        ):
            change = changes[number]
            where = change.line((ROOT / change.path).read_text())
            print(f"{number:4d} {ended:9s} {change.old!r} -> {change.new!r}  {where}", flush=True)
            yield ended


def main() -> None:
    """Draw, try, and print the share that is caught."""
    parser = argparse.ArgumentParser(description="Which changes would the tests catch?")
    parser.add_argument("rooms", nargs="*", default=list(ROOMS))
    parser.add_argument("--number", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="*")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    changes = drawn(given.rooms or list(ROOMS), given.number, given.seed)
    chosen = list(range(len(changes))) if given.only is None else given.only
    ends = list(_report(changes, chosen, given.workers))
    print(f"caught {len(ends) - ends.count('survived')} of {len(ends)}")


if __name__ == "__main__":
    main()
