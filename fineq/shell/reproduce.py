"""Every study of every area, one after the other, and one summary and one page of them all.

`python -m experiments.reproduce [area ...] [field=value ...]`: areas default to all; settings such
as `profile=smoke` or `output=DIR` go to every study. Complete runs are found and not run again.
"""

import sys
import time
from collections.abc import Sequence

from fineq.errors import EXIT_INTERRUPTED, FineqError, InputError
from fineq.runs import Outcome, write_overall_summary
from fineq.runs.files import read_json
from fineq.settings.config import RunConfig
from fineq.shell.backend import forget_programs
from fineq.shell.commands.report import write_page
from fineq.shell.compose import compose
from fineq.shell.execute import execute
from fineq.shell.experiments import reproduced
from fineq.shell.reports import report_error, report_interrupt
from fineq.shell.streams import lasting_streams
from fineq.shell.words import read_words, told
from fineq.shell.xla import hurry
from fineq.studies.area import AREAS, Area, area_of


def main(argv: Sequence[str] | None = None, *, alone: bool | None = None) -> int:
    """Run the command line and return the worst exit code of the studies.

    Arguments as for `fineq.shell.main.main`.
    """
    alone = argv is None if alone is None else alone
    with lasting_streams():
        return _command(list(sys.argv[1:] if argv is None else argv), alone)


def _command(words: list[str], alone: bool) -> int:
    """`alone`: whether the process is there for this command only."""
    overrides = [word for word in words if "=" in word]
    areas = [word for word in words if "=" not in word] or list(AREAS)
    try:
        unknown = [area for area in areas if area not in AREAS]
        if unknown and unknown[0].startswith("-"):
            raise InputError(f"fineq reproduce does not take {unknown[0]}; --help says more")
        if unknown:
            raise InputError(f"area must be one of {', '.join(AREAS)}, got {unknown[0]}")
        return _run_all(areas, overrides, alone)
    except FineqError as error:
        return report_error(error)
    except KeyboardInterrupt:
        return report_interrupt()


def _run_all(areas: Sequence[str], overrides: Sequence[str], alone: bool) -> int:
    modules = {name: area_of(name) for name in areas}
    jobs = [(area, [*words, *overrides]) for area in areas for words in reproduced(modules[area])]
    # Composed first: a wrong setting ends the command before anything has run.
    configs = [compose(modules[area], words) for area, words in jobs]
    if alone and all(config.profile == "smoke" for config in configs):
        hurry()
    outcomes: list[Outcome] = []
    for (area, words), config in zip(jobs, configs, strict=True):
        title = " ".join(word.partition("=")[2] for word in words[: len(words) - len(overrides)])
        if not config.quiet:
            print(f"\n[{len(outcomes) + 1}/{len(jobs)}] {title}", flush=True)
        outcomes.append(_run_one(modules[area], config, words))
        if outcomes[-1].exit_code >= EXIT_INTERRUPTED:
            break
    output = configs[0].output
    path = write_overall_summary(output, outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    if not configs[0].quiet:
        print(f"\n{len(outcomes)} of {len(jobs)} studies in {seconds:.0f} s; summary: {path}")
        print(read_json(path.read_bytes())["verdicts"]["note"])
    worst = max(outcome.exit_code for outcome in outcomes)
    if worst < EXIT_INTERRUPTED:
        page = write_page(output)
        if not configs[0].quiet:
            print(f"all claims and figures on one page: {page}")
    return worst


def _run_one(area: Area, config: RunConfig, words: Sequence[str]) -> Outcome:
    started = time.monotonic()
    code, path, message = 0, None, ""
    study = f"{area.name}/{config.study}"
    try:
        code, path = execute(area, config, words=told(read_words(area, words)))
    except FineqError as error:
        code, message = report_error(error), str(error)
    forget_programs()
    return Outcome(study, code, path, message, time.monotonic() - started)
