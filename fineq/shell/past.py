"""What runs took: those that are on the disk, and a table of what was measured once."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fineq.shell.experiments import Experiment
from fineq.shell.places import CONFIGS

USUAL = "clear"  # the setting of an experiment that has some, where none is chosen


class Cost(NamedTuple):
    """What a run takes: minutes of processors, and the most memory of its process in MiB."""

    minutes: float
    mebibytes: float


class Past(NamedTuple):
    """A run that ended.

    Attributes:
        hash: of the run.
        words: of its command line; None where they are not known.
        counted: its configuration, as far as it changes results, by dotted path.
        platform: `cpu`, `gpu` or `tpu`.
        seconds: that it took, and of these for compiling.
        compiling: likewise.
        mebibytes: the most memory that its process took.
        stages: seconds of each stage, in order; empty where they were not kept.
    """

    hash: str
    words: list[str] | None
    counted: dict[str, Any]
    platform: str
    seconds: float
    compiling: float
    mebibytes: float
    stages: dict[str, float]

    @property
    def members(self) -> int:
        """How many it computed."""
        return math.prod(members_of(self.counted).values())


@cache
def measured() -> Mapping[str, Cost]:
    """The table `configs/minutes.yaml`: words of a run at its default size to what it took."""
    import yaml

    content = yaml.safe_load((CONFIGS / "minutes.yaml").read_text(encoding="utf-8"))
    return {words: Cost(*numbers) for words, numbers in content.items()}


def key_of(words: Sequence[str]) -> str:
    """The words of a command line as the table has them."""
    return " ".join(words).removeprefix("experiment=")


def once(words: Sequence[str]) -> Cost | None:
    """What the run of a command line took when it was measured; None where it was not."""
    key = key_of(words)
    return measured().get(key) or measured().get(f"{key} setting={USUAL}")


def at_default_size(words: Sequence[str]) -> Cost | None:
    """What the experiment of a command line took at its default size; None: not measured."""
    named = [word for word in words if word.startswith("experiment=")]
    return once(named[:1]) if named else None


def minutes_of(one: Experiment, minutes: Mapping[str, float]) -> float | None:
    """Of minutes by the words of a command line those of an experiment at its default size."""
    named = minutes.get(one.name)
    return minutes.get(f"{one.name} setting={USUAL}") if named is None else named


def ended(output: Path | str, area: str = "*", study: str = "*") -> list[Past]:
    """The runs below a folder that ended with results, the newest last."""
    from fineq.runs.compare import counted
    from fineq.runs.folders import find, words_of
    from fineq.runs.summary import FINISHED
    from fineq.shell.commands.found import Entry

    found = []
    for entry in sorted(map(Entry, find(output, area, study)), key=lambda entry: entry.when):
        summary = entry.summary
        if summary is None or entry.run.state not in FINISHED:
            continue
        about, timing = summary["environment"], _numbers(summary["timing"])
        if not timing.get("total"):
            continue
        where = (counted(entry.config), str(about.get("platform", "")))
        took = (timing["total"], timing.get("compile", 0.0))
        peak = _numbers(about).get("peak_memory_mib", 0.0)
        stages = _numbers(about.get("stages"))
        found.append(Past(entry.run.hash, words_of(summary), *where, *took, peak, stages))
    return found


def _numbers(values: Any) -> dict[str, float]:
    """Those of plain data that are numbers: another program may have written the rest."""
    known = values.items() if isinstance(values, dict) else ()
    return {name: float(value) for name, value in known if isinstance(value, int | float)}


def members_of(counted: Mapping[str, Any]) -> dict[str, int]:
    """How many values each axis of a configuration has, seeds last, by dotted path."""
    prefix = "sweep."
    axes = {name: values for name, values in counted.items() if name.startswith(prefix)}
    lengths = {n.removeprefix(prefix): len(v) for n, v in axes.items() if isinstance(v, list)}
    return {**lengths, "seeds": int(counted.get("seeds", 1))}


def like(counted: Mapping[str, Any], platform: str | None, past: Sequence[Past]) -> Past | None:
    """The run that has most in common with a configuration: of several alike the newest."""
    same = [one for one in past if platform is None or one.platform == platform]
    return min(reversed(same), key=lambda one: len(apart(counted, one)), default=None)


def apart(counted: Mapping[str, Any], one: Past) -> dict[str, Any]:
    """Fields in which a run differs from a configuration, but for how many members there are."""
    names = dict.fromkeys((*counted, *one.counted))
    return {
        name: one.counted.get(name)
        for name in names
        if not name.startswith("sweep.")
        and name not in ("seeds", "first_seed", "name")
        and counted.get(name) != one.counted.get(name)
    }


def expected_stages(output: Path | str, area: str, config: Mapping[str, Any]) -> dict[str, float]:
    """The stages of the run on the disk that is most like a configuration, by name and in order.

    Args:
        output: below which runs are looked for.
        area: of the study.
        config: nested plain values.

    Returns:
        Seconds that each may take: they grow with the members. Empty where there is no such run.
    """
    from fineq.runs.compare import counted

    fields = counted(config)
    known = [one for one in ended(output, area, str(config["study"])) if one.stages]
    similar = like(fields, None, known)
    if similar is None:
        return {}
    more = math.prod(members_of(fields).values()) / similar.members
    return {stage: seconds * more for stage, seconds in similar.stages.items()}
