"""`fineq clean`: runs, checkpoints and compiled programs, once it is said what would go."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fineq.errors import EXIT_DONE, FineqError, InputError
from fineq.runs.folders import state_of
from fineq.runs.remove import Listing, Part, checkpoints, remove, unlink, whole
from fineq.shell.commands.found import OUTPUT, entries
from fineq.shell.commands.runs import FIELDS as FIELDS
from fineq.shell.commands.runs import VALUES as VALUES
from fineq.shell.commands.runs import filtered
from fineq.shell.commands.words import read
from fineq.shell.console import shortest
from fineq.shell.places import program_cache
from fineq.shell.streams import visible

USAGE = """\
usage: fineq clean WHAT ... [filter=value ...] [output=DIR] [--yes]

  runs         runs below ./outputs, or output=DIR, that pass the filters of
               fineq runs
  checkpoints  what runs that were interrupted or killed would go on from; they
               begin anew then
  cache        fineq's own cache of compiled programs; they are compiled again

It says what would go and how much that is, and asks; --yes does not ask. Only
files that fineq wrote go: what else lies in a folder stays, and so does a run
that is being written, and a folder that does not say that fineq made it: of
those that are too damaged to say it, status=damaged takes the files that have
the names of fineq's.
"""
PLACES = ("runs", "checkpoints", "cache")
SWITCHES = ("--yes",)
DAMAGED = "damaged"
STALE = ("unfinished", "interrupted")
PROGRAMS = ("-cache", "-atime")  # how the names of JAX's files end


def main(words: Sequence[str]) -> int:
    """Say what would go, ask, and remove it."""
    given = read(
        "clean",
        words,
        places=(1, 3),
        what="runs, checkpoints or cache",
        fields=FIELDS,
        switches=SWITCHES,
    )
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    for kind in given.places:
        if kind not in PLACES:
            raise InputError(f"fineq clean takes {', '.join(PLACES)}, got {kind!r}")
    filters = dict(given.fields)
    output = filters.pop("output", OUTPUT)
    if filters and given.places == ["cache"]:
        raise InputError(f"{next(iter(filters))}= has no effect: the cache is one whole")
    damaged = filters.get("status") == DAMAGED
    listing = partial(whole, certain=not damaged) if "runs" in given.places else checkpoints
    parts = _parts(given.places, listing, output, filters)
    programs = _programs() if "cache" in given.places else []
    if not parts and not programs:
        print("there is nothing to remove")
        return EXIT_DONE
    _say(parts, programs)
    if not damaged and any(not p.files and state_of(p.folder) == DAMAGED for p in parts):
        print("what is too damaged to say that fineq made it stays: status=damaged takes it")
    if "--yes" not in given.switches and not _agreed():
        print("nothing is removed")
        return EXIT_DONE
    _remove(parts, listing, programs)
    return EXIT_DONE


def _parts(
    kinds: Sequence[str], listing: Listing, output: str, filters: dict[str, str]
) -> list[Part]:
    if not {"runs", "checkpoints"} & {*kinds}:
        return []
    found = filtered(entries(output), filters)
    if "runs" in kinds:
        return [listing(entry.run.path) for entry in found]
    stale = (listing(entry.run.path) for entry in found if entry.run.state in STALE)
    return [part for part in stale if part.files]


def _programs() -> list[Path]:
    folder = program_cache()
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if p.name.endswith(PROGRAMS) and p.is_file()]


def _say(parts: Sequence[Part], programs: Sequence[Path]) -> None:
    for part in parts:
        print(f"  {_bytes(part.size):>9}  {_shown(part.folder)}")
        if part.left:
            print(f"  {'':9}    stays: {', '.join(map(visible, part.left))}")
    size = sum(path.lstat().st_size for path in programs)
    if programs:
        print(f"  {_bytes(size):>9}  {len(programs)} files of {program_cache()}")
    total = size + sum(part.size for part in parts)
    print(f"  {_bytes(total):>9}  in all")


def _shown(path: Path) -> str:
    return visible(str(shortest(path)))


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def _agreed() -> bool:
    """Whether the user says yes; who cannot be asked is told how to."""
    if not sys.stdin or not sys.stdin.isatty():
        raise InputError("nothing is removed, for nobody can be asked: --yes removes it")
    try:
        return input("remove these? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _remove(parts: Sequence[Part], listing: Listing, programs: Sequence[Path]) -> None:
    """Remove all that can be; a fault ends it with its sentence once the rest is gone."""
    faults, stay = [], 0
    for part in parts:
        try:
            if why := remove(part, listing):
                print(f"{_shown(part.folder)} {why}, and stays")
                stay += 1
        except FineqError as error:
            faults.append(error)
    for path in programs:
        try:
            unlink(path)
        except FineqError as error:
            faults.append(error)
    for error in faults[1:]:
        print(visible(str(error)))
    total = len(parts) + len(programs)
    gone = total - stay - len(faults)
    if gone:
        print("removed" if gone == total else "the rest is removed")
    if faults:
        raise faults[0]
