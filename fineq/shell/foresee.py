"""`--dry-run`: what a command line would compute, where, how long and in how much memory."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fineq.runs import find_run
from fineq.runs.compare import counted
from fineq.runs.environment import foreseen_platform
from fineq.shell.compose import settings, to_yaml
from fineq.shell.console import shortest
from fineq.shell.execute import Job, identified
from fineq.shell.past import Past, apart, at_default_size, ended, like, members_of, once
from fineq.studies.area import Area

SHOWN = 3  # fields in which a similar run differs
OTHERWISE = "not known; its default size took {:.2g} minutes of a processor, as measured elsewhere"
UNKNOWN = "not known: no run like it is in {}; profile=smoke tells in seconds"


def foresee(area: Area, config: Any, words: Sequence[str] | None) -> str:
    """What would be run, in lines; nothing is computed or written.

    Args:
        area: of the study.
        config: validated.
        words: of the command line, see `fineq.shell.words.told`; None: not known.

    Raises:
        InputError: for files that cannot be read.
    """
    parts = [to_yaml(config)]
    needed = area.needs(config)
    if needed is not None:
        parts.append(f"{needed.field}: the run that this one goes on from is made first")
        parts += _lines(area, needed.config, None)
    parts += _lines(area, config, words)
    return "\n".join(parts) + "\n"


def _lines(area: Area, config: Any, words: Sequence[str] | None) -> Iterator[str]:
    fields = counted(settings(config))
    members = members_of(fields)
    each = " x ".join(f"{path} {length}" for path, length in members.items())
    platform = foreseen_platform()
    similar = like(fields, platform, ended(config.output, area.name, config.study))
    total = math.prod(members.values())
    yield f"{area.name}/{config.study}: nothing is run"
    yield f"  folder   {_folder(area, config, platform)}"
    yield f"  members  {total}" + (f": {each}" if len(members) > 1 else "")
    if similar is not None:
        yield f"  time     {_time(similar, fields, total)}"
        yield f"  memory   that run took {similar.mebibytes:.0f} MiB; {_limit()}"
    elif cost := once(words or ()):
        yield f"  time     about {cost.minutes:.2g} minutes of a processor, as measured elsewhere"
        yield f"  memory   {cost.mebibytes:.0f} MiB, as measured elsewhere; {_limit()}"
    elif cost := at_default_size(words or ()):
        yield f"  time     {OTHERWISE.format(cost.minutes)}"
        yield f"  memory   that took {cost.mebibytes:.0f} MiB; {_limit()}"
    else:
        yield f"  time     {UNKNOWN.format(config.output)}"
        yield f"  memory   {_limit()}"


def _folder(area: Area, config: Any, platform: str | None) -> str:
    """Where the run would lie, and what is there."""
    place = Path(config.output) / area.name / config.study
    if area.target(config) is not None:
        return f"{shortest(place)}/{config.name}-..., named once your code is loaded"
    if area.needs(config) is not None:
        return f"{shortest(place)}/{config.name}-..., named once the run that it needs is there"
    if platform is None:
        return f"{shortest(place)}/{config.name}-..., named once JAX has chosen its devices"
    identity = identified(Job(area, config), platform, {})
    path = place / f"{config.name}-{identity.hash}"
    return f"{shortest(path)} ({_state(path, find_run(config.output, identity), config.force)})"


def _state(path: Path, found: Any, force: bool) -> str:
    if found is not None:
        return "complete: computed again" if force else "complete: found, not run again"
    return "interrupted: goes on" if (path / "checkpoints").is_dir() else "new"


def _time(similar: Past, fields: dict[str, Any], total: int) -> str:
    """A time from what a similar run took, whose compiling does not grow with members."""
    running = (similar.seconds - similar.compiling) * total / similar.members
    minutes = (similar.compiling + running) / 60
    took = f"run {similar.hash[:8]} took {similar.seconds / 60:.2g}"
    if similar.members != total:
        took += f" for {similar.members} members, {similar.compiling / 60:.2g} of it compiling"
    names = [f"{name}={value}" for name, value in apart(fields, similar).items()]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    other = f"; it had {', '.join(names[:SHOWN])}{more}, which is not reckoned" if names else ""
    return f"about {minutes:.2g} minutes: {took}{other}"


def _limit() -> str:
    """Up to what members are computed at once."""
    from fineq.sweep.memory import SHARE, gibibytes, host_bytes  # here, for it loads JAX

    there = host_bytes()
    block = gibibytes(there // SHARE)
    return f"blocks of members take at most {block} of the {gibibytes(there)} here"
