"""The words of a command line: switches, settings, and what `--help` prints."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fineq.errors import InputError
from fineq.settings.fields import leaves
from fineq.shell.experiments import experiments
from fineq.shell.words import as_typed
from fineq.studies.area import Area

USAGE = """\
usage: fineq run {area}/NAME [field=value ...] [options]
       python -m experiments.{area} experiment={area}/NAME [field=value ...] [options]

  NAME                      one of: {experiments}
  field=value               set a field (below)
  'sweep.FIELD=[a,b,...]'   lay an axis over a numeric field, in one program; several axes: product
  -m field=a,b ...          one run per value (Hydra multirun; hydra/launcher=... for clusters)
  --cfg                     print the resolved configuration and stop
  --dry-run                 print what would be run: where, how many members, time, memory
  --from FILE               start from a run's config.yaml instead of the defaults; its force,
                            strict, quiet and output stay behind
  --traceback               show where an error arose
  --help                    this text
"""
LISTING = """\
studies of {area}:

{lines}

Run one in seconds with profile=smoke; quick (minutes) is the default, full takes hours:

  fineq run {first} profile=smoke
  fineq run {area} --help
"""
SWITCHES = ("-m", "--multirun", "--cfg", "--dry-run", "--help", "-h", "--traceback")


class Options(NamedTuple):
    """A command line taken apart: words that set something, and switches."""

    overrides: list[str]
    multirun: bool
    show: bool
    dry: bool
    help: bool
    source: str | None

    @property
    def empty(self) -> bool:
        """Whether it says nothing of what to run."""
        return not (self.overrides or self.source or self.show or self.dry or self.help)


def parse(area: Area, arguments: Sequence[str]) -> Options:
    """Take a command line apart.

    Raises:
        InputError: for a word that is neither a switch nor a setting.
    """
    arguments, source = _source(list(arguments))
    words = [word for word in arguments if word not in SWITCHES]
    for word in words:
        if word.startswith("-") or ("=" not in word and not word.startswith("~")):
            close = difflib.get_close_matches(word, SWITCHES, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InputError(
                f"{word!r} is not an option of {area.name}; {hint}settings have the form "
                "field=value, and --help lists them"
            )
    given = set(arguments)
    return Options(
        words,
        multirun=bool(given & {"-m", "--multirun"}),
        show="--cfg" in given,
        dry="--dry-run" in given,
        help=bool(given & {"--help", "-h"}),
        source=source,
    )


def _source(arguments: list[str]) -> tuple[list[str], str | None]:
    """The other arguments, and the file that `--from` names."""
    if "--from" not in arguments:
        return arguments, None
    at = arguments.index("--from")
    rest, named = arguments[:at] + arguments[at + 2 :], arguments[at + 1 : at + 2]
    if not named or named[0] in SWITCHES or ("=" in named[0] and not Path(named[0]).exists()):
        raise InputError("--from needs a file: the config.yaml of a run")
    if "--from" in rest:
        raise InputError("--from is given twice: drop one of them")
    return rest, named[0]


def listing(area: Area) -> str:
    """The experiments of an area, a line for each, and how to run one."""
    found = experiments(area)
    width = max(len(one.name) for one in found)
    lines = [f"  {one.name:{width}}  {one.about}" for one in found]
    first = next(one.name for one in found if one.sized)
    return LISTING.format(area=area.name, lines="\n".join(lines), first=first)


def help_text(area: Area) -> str:
    """Every field with its meaning, default, unit and range."""
    names = ", ".join(one.name.partition("/")[2] for one in experiments(area))
    lines = [USAGE.format(area=area.name, experiments=names), "fields:"]
    for leaf in leaves(area.config_type()):
        spec = leaf.spec
        unit = f" {spec.unit}" if spec.unit else ""
        allowed = f"; {spec.allowed()}" if spec.allowed() else ""
        lines += [f"  {leaf.path}={as_typed(leaf.value)}{unit}", f"      {spec.help}{allowed}"]
    return "\n".join(lines)
