"""The words of a command line: switches, settings, and what `--help` prints."""

import re
from typing import NamedTuple

from experiments.area import Area
from experiments.sentences import CONFIGS
from fineq.errors import InputError
from fineq.fields import leaves

USAGE = """\
usage: python -m experiments.{area} [experiment={area}/<name>] [field=value ...] [options]

  experiment={area}/NAME     one of: {experiments}
  field=value               set a field (below)
  'sweep.FIELD=[a,b,...]'   lay an axis over a numeric field, in one program; several axes: product
  -m field=a,b ...          one run per value (Hydra multirun; hydra/launcher=... for clusters)
  --cfg                     print the resolved configuration and stop
  --from FILE               start from a run's config.yaml instead of the defaults
  --traceback               show where an error arose
  --help                    this text
"""


class Options(NamedTuple):
    """A command line taken apart."""

    overrides: list[str]
    multirun: bool
    show: bool
    help: bool
    traceback: bool
    source: str | None


def parse(area: Area, arguments: list[str]) -> Options:
    """Take a command line apart.

    Raises:
        InputError: for a word that is neither a switch nor a setting.
    """
    switches = {"-m", "--multirun", "--cfg", "--help", "-h", "--traceback"}
    source = None
    if "--from" in arguments:
        at = arguments.index("--from")
        if at + 1 >= len(arguments) or "=" in arguments[at + 1]:
            raise InputError("--from needs a file: the config.yaml of a run")
        source = arguments[at + 1]
        del arguments[at : at + 2]
    words = [word for word in arguments if word not in switches]
    for word in words:
        if word.startswith("-") or ("=" not in word and not word.startswith("~")):
            raise InputError(
                f"{word!r} is not an option of experiments.{area.name}; settings have the form "
                "field=value, and --help lists them"
            )
    given = set(arguments)
    return Options(
        [_rewrite(word) for word in words],
        multirun=bool(given & {"-m", "--multirun"}),
        show="--cfg" in given,
        help=bool(given & {"--help", "-h"}),
        traceback="--traceback" in given,
        source=source,
    )


def _rewrite(word: str) -> str:
    """`sweep.x=` becomes `++sweep.x=`: the keys below `sweep` are checked here, not by Hydra."""
    if word.startswith("~"):
        raise InputError(f"{word!r}: a field cannot be deleted, only set")
    if word.startswith("+") and not re.match(r"\+{1,2}sweep\.", word):
        name = word.lstrip("+").partition("=")[0]
        raise InputError(f"{name!r} cannot be added with '+'; --help lists the fields there are")
    return "++" + word.lstrip("+") if re.match(r"\+{0,2}sweep\.", word) else word


def help_text(area: Area) -> str:
    """Every field with its meaning, default, unit and range."""
    names = sorted(path.stem for path in (CONFIGS / "experiment" / area.name).glob("*.yaml"))
    lines = [USAGE.format(area=area.name, experiments=", ".join(names)), "fields:"]
    for leaf in leaves(area.config_type()):
        spec = leaf.spec
        default = "null" if leaf.value is None else leaf.value
        unit = f" {spec.unit}" if spec.unit else ""
        allowed = f"; {spec.allowed()}" if spec.allowed() else ""
        lines += [f"  {leaf.path}={default}{unit}", f"      {spec.help}{allowed}"]
    return "\n".join(lines)
