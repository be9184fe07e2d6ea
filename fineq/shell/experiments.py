"""The experiments there are: the studies of an area, in order, and the files that configure them.

A study is registered in `fineq.studies.<area>.STUDIES`; an experiment is a file of
`configs/experiment/<area>` that names its study. What is listed, reproduced and allowed follows.
"""

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.shell.places import CONFIGS

if TYPE_CHECKING:
    from fineq.studies.area import Area


class Experiment(NamedTuple):
    """A file of `configs/experiment`.

    Attributes:
        name: as on a command line, `area/name`.
        study: the study that it configures.
        about: what it shows, the comment below the command in its file.
        sized: whether it has profiles; one that has a single size is a demonstration.
        settings: the settings there are for its figure, each a file of `configs/figure/<name>`.
    """

    name: str
    study: str
    about: str
    sized: bool
    settings: tuple[str, ...]


def experiments(area: "Area") -> list[Experiment]:
    """The area's experiments: by study, as these are registered, and by name within one."""
    return _sorted(area.name, list(area.studies))


def listed(area: str) -> tuple[str, list[Experiment]]:
    """What an area is about, and its `experiments`, with nothing loaded but their files."""
    room = importlib.import_module(f"fineq.studies.{area}")
    return room.ABOUT, _sorted(area, list(room.STUDIES))


def _sorted(area: str, order: list[str]) -> list[Experiment]:
    found = [_read(area, path.stem) for path in _folder(area).glob("*.yaml")]
    return sorted(found, key=lambda one: (order.index(one.study), one.name))


def names(area: "Area") -> list[str]:
    """The names of the area's experiments, as on a command line."""
    return [one.name for one in experiments(area)]


def reproduced(area: "Area") -> list[list[str]]:
    """The words of each run that reproduces a figure: every experiment in every setting it has."""
    return [
        [f"experiment={one.name}", *words]
        for one in experiments(area)
        if one.sized
        for words in [[f"setting={setting}"] for setting in one.settings] or [[]]
    ]


def _folder(area: str) -> Any:
    return CONFIGS / "experiment" / area


@cache
def _read(area: str, stem: str) -> Experiment:
    import yaml

    text = (_folder(area) / f"{stem}.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    name = f"{area}/{stem}"
    settings = sorted(path.stem for path in (CONFIGS / "figure" / name).glob("*.yaml"))
    about = text.splitlines()[2].removeprefix("#").strip()
    return Experiment(name, content["study"], about, "profiles" in content, tuple(settings))
