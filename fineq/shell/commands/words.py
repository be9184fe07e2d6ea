"""The words of subcommands that look at runs: places, filters `name=value`, and switches."""

import difflib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from fineq.errors import InputError

HELP = ("--help", "-h")
TRUTH = ("true", "false")


class Given(NamedTuple):
    """The words of a subcommand taken apart.

    Attributes:
        places: words that are neither of the others, for example folders.
        fields: what stands before and after `=`.
        switches: words such as `--yes`.
    """

    places: list[str]
    fields: dict[str, str]
    switches: set[str]

    @property
    def help(self) -> bool:
        """Whether help is asked for."""
        return bool(self.switches & {*HELP})


def read(
    command: str,
    words: Sequence[str],
    *,
    places: tuple[int, int] = (0, 0),
    what: str = "RUN",
    fields: Collection[str] = (),
    switches: Collection[str] = (),
) -> Given:
    """Take the words of a subcommand apart.

    Args:
        command: its name.
        words: what stands behind it.
        places: how many there must be at least, and may be at most.
        what: what the places are, in capitals.
        fields: names that may stand before `=`.
        switches: which there are beside `--help` and `--traceback`.

    Raises:
        InputError: for a word that it does not take, one that is given twice, too few and too many
            places.
    """
    given = Given([], {}, set())
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-"):
            _check(command, word, (*HELP, "--traceback", *switches))
            given.switches.add(word)
        elif equals and name.replace("_", "").replace(".", "").isalnum():
            _check(command, name, fields, "=")
            if name in given.fields:
                raise InputError(f"{name} is given twice: drop one of them")
            given.fields[name] = value
        else:
            given.places.append(word)
    least, most = places
    if given.help:
        return given
    if len(given.places) < least:
        raise InputError(f"fineq {command} needs {what}; --help says more")
    if len(given.places) > most:
        raise InputError(f"fineq {command} does not take {given.places[most]!r}; --help says more")
    return given


def flag(given: Given, name: str) -> bool:
    """Whether a field says true; where it is not given it is false.

    Raises:
        InputError: for what is neither true nor false.
    """
    value = given.fields.get(name, "false")
    if value.lower() not in TRUTH:  # in any case, as for fields of a run
        raise InputError(f"{name} must be true or false, got {value or 'nothing'}")
    return value.lower() == "true"


def _check(command: str, name: str, known: Collection[str], ending: str = "") -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, list(known), 1)
    hint = f"; did you mean {close[0]}{ending}?" if close else "; --help says more"
    raise InputError(f"fineq {command} does not take {name}{ending}{hint}")
