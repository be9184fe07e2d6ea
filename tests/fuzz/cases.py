"""Numbered cases of each kind: the same number is the same case."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import yaml

from fineq.studies.area import Area
from tests.fuzz import folders, oracle
from tests.fuzz.files import DOORS, file_words
from tests.fuzz.lines import check_lists, command_line, list_elements, real_line
from tests.fuzz.oracle import FaultError
from tests.fuzz.stub import AREAS, area_of, remembered, stubbed

LONGEST_REAL = 300  # s of a study at its smallest size, programs compiled
Case = Callable[[Random, "Told"], None]


class Told(list):
    """The words of a case, kept for the message when it fails."""


def any_area(draw: Random) -> Area:
    """One of the areas."""
    return area_of(draw.choice(AREAS))


def _line(draw: Random, told: Told) -> None:
    """A command line that must end well, whatever it says."""
    with oracle.folder(), stubbed():
        area = any_area(draw)
        _ends_well(area, command_line(draw, area), told)


def _list(draw: Random, told: Told) -> None:
    """Lists whose elements are all of their kind, or that are refused."""
    with oracle.folder(), stubbed():
        area = any_area(draw)
        if _ends_well(area, list_elements(draw, area), told).code == 0:
            (config,) = Path().rglob("config.yaml")
            check_lists(area, yaml.safe_load(config.read_text()))


def _ends_well(area: Area, words: list[str], told: Told) -> oracle.Ended:
    told += [area.name, words]
    before = oracle.tree()
    ended = oracle.end(area, words)
    oracle.check(ended, words)
    oracle.check_written(before, ended, words)
    return ended


def _file(draw: Random, told: Told) -> None:
    """A file of plants or points that is read or refused."""
    with oracle.folder(), stubbed(), remembered():
        door = draw.choice(DOORS)
        _ends_well(area_of(door.area), file_words(draw, door), told)


def _real(draw: Random, told: Told) -> None:
    """A command line that is not refused, carried out."""
    while True:
        with oracle.folder(), stubbed():
            area = any_area(draw)
            words = [*real_line(draw, area), "seeds=2"]
            if oracle.end(area, words).code == 0:
                break
    with oracle.folder():
        told += [area.name, words]
        ended = oracle.end(area, words, LONGEST_REAL)
        oracle.check(ended, words)
        oracle.check_written(set(), ended, words)


def _folder(draw: Random, told: Told) -> None:
    """A run folder that came to harm: mended or refused, never believed."""
    area = area_of("ntk")  # that of the lightest instances: folders are the same in all areas
    kind = draw.choice(("finished", "stopped"))
    kept = folders.runs_of(area.name).name
    with oracle.folder(), remembered():
        shutil.copytree(f"{kept}/{kind}", "outputs")
        Path("precious.txt").write_bytes(folders.PRECIOUS)
        ours = folders.found(0)
        told += [kind, folders.harm(draw, ours, folders.found(folders.OTHER))]
        ended = folders.run(area)
        oracle.check(ended, [])
        folders.check_true(ended, ours)


KINDS: dict[str, Case] = {
    "lines": _line,
    "lists": _list,
    "files": _file,
    "folders": _folder,
    "real": _real,
}


def faults(kind: str, numbers: Iterable[int]) -> list[str]:
    """What went wrong in these cases, each with how to repeat it."""
    found = []
    for number in numbers:
        told = Told()
        try:
            KINDS[kind](Random(f"fineq {kind} {number}"), told)
        except FaultError as fault:
            found.append(f"python -m tests.fuzz {kind} {number}: {told}\n{fault}")
    return found
