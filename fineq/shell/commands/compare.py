"""`fineq compare`: what two runs, or two folders of runs, made otherwise and found otherwise."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fineq.errors import EXIT_CLAIM_FAILED, EXIT_DONE, InputError
from fineq.runs.compare import ArrayPair, ClaimPair, Comparison, Differing, compare
from fineq.runs.folders import CONFIG, LoadedRun, load
from fineq.runs.partners import partners
from fineq.runs.summary import FINISHED
from fineq.settings.values import shortened
from fineq.shell.commands.found import OUTPUT, entries, named, studies
from fineq.shell.commands.words import TRUTH, flag, read
from fineq.shell.console import Console, make_console, shortest
from fineq.table import measured_words

USAGE = """\
usage: fineq compare A B [strict=true] [output=DIR]

What differs between two runs, or between two folders of runs (before and after
a change, on two machines): in what they were told and made with, and in what
they found beyond its intervals. A claim differs when its intervals do not meet
or its verdicts differ; an array when it does over seeds by more than chance,
which for two runs of one law happens in at most 5% of comparisons.
What is not random differs beyond rounding, half of the digits. A and B
are folders, first digits of hashes, or AREA/STUDY for its newest run below
./outputs, or output=DIR.

Runs of folders are paired by study and configuration, else with the run most
alike in all but three settings and the seeds. What cannot be compared, and
older runs of a configuration that has a newer one, are named.

strict=true exits with 1 when claims, arrays or statuses differ, or a run has
no partner.
"""
PLACES, FIELDS = studies(), ("strict", "output")
VALUES = {"strict": TRUTH}
KINDS = {
    "equal": "equal",
    "rounding": "equal to rounding",
    "within": "within chance",
    "few": "of too few seeds to tell",
}


def main(words: Sequence[str]) -> int:
    """Compare and print; the exit code says whether they differ only where that is asked for."""
    given = read("compare", words, places=(2, 2), what="A B", fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    strict = flag(given, "strict")
    output, (a, b) = given.fields.get("output", OUTPUT), given.places
    found, alone, repeated = paired(runs_of(a, output), runs_of(b, output))
    console = make_console()
    _print(found, alone, console)
    for line in unlike_lines((a, b), repeated):
        console.line(line)
    differs = alone or any(one.differs for one in found)
    return EXIT_CLAIM_FAILED if differs and strict else EXIT_DONE


def runs_of(word: str, output: str) -> list[LoadedRun]:
    """Return the run that a word names, or the finished ones below a folder."""
    folder = Path(word)
    if not folder.is_dir() or (folder / CONFIG).exists():
        return [load(named(word, output))]
    found = [entry.run for entry in entries(folder) if entry.run.state in FINISHED]
    if not found:
        raise InputError(f"{word} is neither a run nor a folder with finished runs in it")
    return [run.load() for run in found]


def unlike_lines(words: Sequence[str], repeated: Sequence[LoadedRun]) -> Iterator[str]:
    """What lies in folders A and B and is not compared, by name and with the reason."""
    for run in repeated:
        yield f"{run.study}: not compared, a newer run is alike, {shortest(run.path)}"
    for folder in map(Path, words):
        if folder.is_dir() and not (folder / CONFIG).exists():
            for entry in entries(folder):
                if entry.run.state not in FINISHED:
                    where = shortest(entry.run.path)
                    yield f"{entry.study}: not compared, {entry.run.state}, {where}"


def paired(
    first: Sequence[LoadedRun], second: Sequence[LoadedRun]
) -> tuple[list[Comparison], list[tuple[str, LoadedRun]], list[LoadedRun]]:
    """Runs compared with their partners, those without, with the side that has them, and repeated.

    Repeated are runs of which there is a newer one of the same configuration.
    """
    if len(first) == len(second) == 1:
        return [compare(first[0], second[0])], [], []
    matched = partners(first, second)
    alone = [("A", run) for run in matched.first] + [("B", run) for run in matched.second]
    return [compare(*pair) for pair in matched.pairs], alone, matched.repeated


def _print(
    found: Sequence[Comparison], alone: Sequence[tuple[str, LoadedRun]], console: Console
) -> None:
    for one in found:
        for line in lines_of(one):
            console.line(line)
    for side, run in alone:
        console.line(f"{run.study}: only {side} has it, {shortest(run.path)}")
    differing = sum(one.differs for one in found)
    if len(found) + len(alone) > 1:
        pairs = f"pairs of runs: {len(found)}, of which {differing} differ"
        console.line(f"{pairs}; without a partner: {len(alone)}")


def lines_of(found: Comparison) -> Iterator[str]:
    """A comparison in lines."""
    yield f"{found.first.study}: {'differs' if found.differs else 'nothing differs'}"
    yield f"  A  {shortest(found.first.path)}"
    yield f"  B  {shortest(found.second.path)}"
    for title, parts in (("told", found.settings), ("made with", found.made_with)):
        for part in parts:
            yield f"  {title}  {_beside(part)}"
    if found.first.status != found.second.status:
        yield f"  status  {found.first.status} | {found.second.status}"
    alike = sum(not pair.differs for pair in found.claims)
    few = sum(pair.few for pair in found.claims)
    open_ = f", of which {few} {KINDS['few']}" if few else ""
    yield f"  claims  {alike} of {len(found.claims)} agree{open_}"
    for pair in found.claims:
        if pair.differs:
            yield from _claim_lines(pair)
    yield f"  arrays  {_counts(found.arrays)}"
    for array in found.arrays:
        if array.differs:
            yield f"    {array.name}: {_array_words(array)}"


def _beside(part: Differing) -> str:
    return f"{part.name}: {_short(part.first)} | {_short(part.second)}"


def _short(value: Any) -> str:
    return "-" if value is None or value == "" else shortened(value)


def _claim_lines(pair: ClaimPair) -> Iterator[str]:
    if pair.first is None or pair.second is None:
        side, one = ("B", pair.second) if pair.first is None else ("A", pair.first)
        yield f"    only {side} has {_about(one)}"
    else:
        yield f"    {_about(pair.first)}"
        yield f"      {_found(pair.first)} | {_found(pair.second)}"


def _about(claim: Any) -> str:
    instance = f" ({claim['instance']})" if claim.get("instance") else ""
    return f"{claim['id']}: {claim['statement']}{instance}"


def _found(claim: Any) -> str:
    words = measured_words(claim["measured"]).replace("\n", " ")
    return ", ".join(filter(None, (words, claim["verdict"])))


def _counts(arrays: Sequence[ArrayPair]) -> str:
    """How many arrays there are of each kind."""
    counts = Counter(array.kind for array in arrays if not array.differs)
    parts = [f"{counts[kind]} {words}" for kind, words in KINDS.items() if counts[kind]]
    differing = sum(array.differs for array in arrays)
    return ", ".join([*parts, *([f"{differing} differ"] if differing else [])]) or "none"


def _array_words(array: ArrayPair) -> str:
    if array.kind in ("first", "second"):
        return f"only {'A' if array.kind == 'first' else 'B'} has it"
    if array.kind == "words":
        return "of other words"
    if array.kind == "shape":
        return "of other dimensions or coordinates"
    much = "" if array.relative is None else f"by up to {array.relative:.2g} of the largest number"
    if not array.entries:
        return much
    where = f"over seeds apart at {array.apart} of {array.entries} entries"
    return ", ".join(filter(None, (where, much)))
