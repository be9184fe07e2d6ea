"""`fineq.run`: what the command line does, called from Python."""

from collections.abc import Mapping
from typing import Any

from fineq.errors import InputError
from fineq.runs.files import plain
from fineq.runs.folders import LoadedRun, load
from fineq.settings import switches
from fineq.shell.backend import forget_programs
from fineq.shell.compose import compose_words, literal
from fineq.shell.execute import execute
from fineq.shell.experiments import names
from fineq.shell.words import told, words_of
from fineq.studies.area import AREAS, Area, area_of

# A process may have 65,530 on Linux, and every study takes some thousands for its programs.
MOST_MAPS = 20_000


def run(
    experiment: str,
    settings: Mapping[str, Any] | None = None,
    *,
    quiet: bool = True,
    **fields: Any,
) -> LoadedRun:
    """Run an experiment, or find it done, and return the run.

    What a command line says as `python -m experiments.nlqr experiment=nlqr/landscape seeds=16
    profile=smoke system.lipschitz=0.3 'sweep.law.radius=[1,3]'` is here

        fineq.run(
            "nlqr/landscape",
            {"system.lipschitz": 0.3, "sweep.law.radius": [1, 3]},
            seeds=16,
            profile="smoke",
        )

    with the same fields, defaults and checks (`--help` lists them); files are chosen as there, for
    example `setting="printed"` or `system="matrices"`. A complete run of the same configuration is
    found and not run again, unless `force=True`; one that was interrupted goes on. JAX's switches,
    which a run sets (float64 among them), have their values back at the end.

    Args:
        experiment: `area/name`, a file of `configs/experiment`.
        settings: fields by dotted path, and axes as `sweep.FIELD`; numbers, texts, lists, arrays.
        quiet: print nothing; else what the command line prints.
        fields: fields and choices without a dot in their names.

    Returns:
        The run: its `dataset`, `claims`, `rates`, `config`, `status`. One whose members all
        diverged is a result and says so in its status.

    Raises:
        InputError: bad input, in one sentence.
        ResourceError: too little memory or disk.
        Interrupted: after Ctrl-C (`Terminated` after SIGTERM), when what is computed has been kept;
            the same call goes on from there. A second Ctrl-C raises `KeyboardInterrupt` at once.
    """
    area = _area(experiment)
    given = _plain({"experiment": experiment, **(settings or {}), "quiet": quiet}, fields)
    words = words_of(area, given)
    config = compose_words(area, words)
    with switches.lent():
        _, folder = execute(area, config, alone=False, words=told(words))
    forget_programs(MOST_MAPS)
    return load(folder)


def _area(experiment: str) -> Area:
    area = str(experiment).partition("/")[0]
    if area not in AREAS:
        known = [name for each in AREAS for name in names(area_of(each))]
        raise InputError(f"experiment must be one of {', '.join(known)}, got {experiment!r}")
    return area_of(area)


def _plain(settings: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values by name; texts stand for themselves."""
    if twice := sorted(settings.keys() & fields.keys()):
        raise InputError(f"{twice[0]} is given twice: drop one of them")
    if "strict" in fields or "strict" in settings:
        raise InputError("strict is an exit code of the command line: look at the run's claims")
    try:
        return {name: literal(plain(value)) for name, value in {**settings, **fields}.items()}
    except TypeError as error:
        raise InputError(f"a setting must be a number, a text or a list: {error}") from None
