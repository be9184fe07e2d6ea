"""Command lines: fields of this and other areas, options in any place, sweeps over anything."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from fineq.settings.fields import Leaf, flatten, leaves
from fineq.shell.compose import compose, to_yaml
from fineq.shell.places import CONFIGS
from fineq.studies.area import Area
from tests.fuzz.damage import BYTES, PLACE
from tests.fuzz.oracle import FaultError
from tests.fuzz.stub import area_of
from tests.fuzz.values import bad, elements, misspelt, nasty, plausible

OPTIONS = ("-m", "--multirun", "--cfg", "--help", "-h", "--traceback", "--from")
STRANGE = (
    "--verbose",
    "-",
    "--",
    "--cfg=job",
    "-mm",
    "-m=1",
    "--from=x",
    "-c",
    "--version",
    "—cfg",
)
EXPERIMENTS = sorted(
    path.relative_to(CONFIGS / "experiment").with_suffix("").as_posix()
    for path in (CONFIGS / "experiment").rglob("*.yaml")
)
CHOICES = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONFIGS.glob("*/*.yaml")
    if path.parent.name != "experiment"
)
SET = ("study", "profile", "seeds", "output", "strict")  # not for chance, where studies run
GROUPS = ("experiment", "system", "kernel", "law", "setting", "figure", "hydra", "hydra/launcher")
GROUPS += ("hydra/sweeper", "hydra.run.dir", "hydra.sweep.dir", "hydra.job.name", "hydra.mode")
GROUPS += ("defaults", "sweep", "profiles", "profiles.smoke", "profiles.smoke.seeds", "_target_")


def base(draw: Random, area: Area) -> list[str]:
    """Words that run an experiment of the area, at its smallest size more often than not."""
    own = [name for name in EXPERIMENTS if name.startswith(area.name + "/")]
    if draw.random() < 0.25:
        return []
    return [f"experiment={draw.choice(own)}", *(["profile=smoke"] if draw.random() < 0.8 else [])]


def field(draw: Random, fields: Sequence[Leaf]) -> str:
    """A field with a good or a bad value."""
    leaf = draw.choice(fields)
    value = plausible(draw, leaf) if draw.random() < 0.45 else bad(draw, leaf)
    return f"{leaf.path}={value}"


def stray(draw: Random, fields: Sequence[Leaf]) -> str:
    """A field that is misspelt, cut, lengthened, added, deleted or no field at all."""
    path, value = draw.choice(fields).path, nasty(draw)
    forms = (f"{misspelt(draw, path)}={value}", f"{path}", f"{path}.x={value}", f"+{path}={value}")
    forms += (f"++{path}={value}", f"~{path}", f"{path.partition('.')[0]}={value}", f"{value}=1")
    forms += (f"{path.upper()}={value}", f"{path} ={value}", f"={value}", f"{path}@x={value}")
    forms += (f"{path}==1", f"{nasty(draw)}={value}", nasty(draw), f"{path}:1")
    forms += (draw.choice(STRANGE), f"--{path}={value}")
    return draw.choice(forms)


def group(draw: Random, fields: Sequence[Leaf]) -> str:
    """A choice of a group, or what is no choice of it."""
    if draw.random() < 0.4:
        return draw.choice(CHOICES)
    if draw.random() < 0.4:
        return f"experiment={draw.choice(EXPERIMENTS)}"
    return f"{draw.choice(GROUPS)}={nasty(draw)}"


def sweep(draw: Random, fields: Sequence[Leaf]) -> str:
    """An axis over a field, or over what is none."""
    leaf = draw.choice(fields)
    path = leaf.path if draw.random() < 0.8 else misspelt(draw, leaf.path)
    mark = draw.choice(("", "", "", "+", "++"))
    kind = draw.random()
    if kind < 0.3:
        return f"{mark}sweep.{path}=[{plausible(draw, leaf)},{plausible(draw, leaf)}]"
    if kind < 0.6:
        return f"{mark}sweep.{path}={elements(draw, [1, 2])}"
    return f"{mark}sweep.{path}={nasty(draw)}"


def several(draw: Random, fields: Sequence[Leaf]) -> str:
    """Two values of a field, as -m takes them."""
    leaf = draw.choice(fields)
    return f"{leaf.path}={plausible(draw, leaf)},{bad(draw, leaf)}"


WORDS = (*(field,) * 5, stray, group, sweep, sweep, several)


def command_line(draw: Random, area: Area) -> list[str]:
    """A command line of a few words, one or two of them wrong; perhaps with a word said twice."""
    fields = list(leaves(area.config_type()))
    words = base(draw, area)
    for _ in range(draw.choice((1, 1, 1, 2))):
        words.append(draw.choice(WORDS)(draw, fields))
    if draw.random() < 0.1:
        words.append(draw.choice(words))
    for _ in range(draw.choice((0, 0, 0, 0, 1, 1, 2))):
        words.insert(draw.randrange(len(words) + 1), draw.choice(OPTIONS))
    if "--from" in words and draw.random() < 0.8:
        words.insert(words.index("--from") + 1, saved(draw, area, fields))
    return words


@functools.cache
def _configuration(area: str) -> str:
    return to_yaml(compose(area_of(area), []))


def saved(draw: Random, area: Area, fields: Sequence[Leaf]) -> str:
    """Write a file to start from, of which a field or two are not what a run saves; its name."""
    content = yaml.safe_load(_configuration(area.name))
    for leaf in draw.sample(list(fields), draw.randint(0, 2)):
        *groups, name = leaf.path.split(".")
        at = content
        for group in groups:
            at = at[group]
        odd = (nasty(draw), nasty(draw), 1.5, -1, [], {}, None, True, [[1]], 10**30, float("nan"))
        at[name if draw.random() < 0.8 else draw.choice((1, None, "x.y", "é", "a=b"))] = (
            draw.choice(odd)
        )
    text = yaml.safe_dump(content, allow_unicode=True).encode(errors="surrogateescape")
    Path("saved.yaml").write_bytes(text)
    if draw.random() < 0.2:
        draw.choice((*BYTES, *PLACE))(draw, Path("saved.yaml"))
    return "saved.yaml"


def list_elements(draw: Random, area: Area) -> list[str]:
    """A command line with one or two lists whose elements are not what they should be."""
    fields = list(leaves(area.config_type()))
    lists = [leaf for leaf in fields if isinstance(leaf.value, list)]
    words = base(draw, area)
    for _ in range(draw.choice((1, 1, 2))):
        if draw.random() < 0.7:
            leaf = draw.choice(lists)
            words.append(f"{leaf.path}={elements(draw, leaf.value)}")
        else:
            leaf = draw.choice(fields)
            value = [leaf.value] if isinstance(leaf.value, int | float) else []
            words.append(f"sweep.{leaf.path}={elements(draw, value)}")
    return words


def check_lists(area: Area, config: dict[str, Any]) -> None:
    """Raise `FaultError` for an element, of a field or of an axis, that is not of its kind."""
    fields = {leaf.path: leaf for leaf in leaves(area.config_type())}
    for path, value in flatten(config).items():
        leaf = fields[path.removeprefix("sweep.")]
        if isinstance(leaf.value, list) or path.startswith("sweep."):
            wrong = [x for x in _flat(value) if not _is_of_kind(x, leaf)]
            if wrong:
                raise FaultError(f"{path} was taken with {wrong[0]!r} in it")


def _is_of_kind(value: Any, leaf: Leaf) -> bool:
    if leaf.spec.choices:
        return value in leaf.spec.choices
    return type(value) in (int, float) and math.isfinite(value)


def _flat(value: Any) -> list[Any]:
    return [x for part in value for x in _flat(part)] if isinstance(value, list) else [value]


def real_line(draw: Random, area: Area) -> list[str]:
    """A command line of the smallest size with good values."""
    own = [name for name in EXPERIMENTS if name.startswith(area.name + "/")]
    fields = [leaf for leaf in leaves(area.config_type()) if leaf.path not in SET]
    chosen = draw.sample(fields, 2)
    words = [f"{leaf.path}={plausible(draw, leaf)}" for leaf in chosen]
    return [f"experiment={draw.choice(own)}", "profile=smoke", *words]
