"""One run per combination of comma lists, by Hydra's sweeper and launcher; one table at the end."""

import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fineq.errors import EXIT_INTERRUPTED, FineqError, InputError, ResourceError
from fineq.settings.values import shortened
from fineq.shell.backend import forget_programs
from fineq.shell.compose import compose, register
from fineq.shell.execute import execute
from fineq.shell.experiments import names
from fineq.shell.places import CONFIGS
from fineq.shell.reports import report_error
from fineq.shell.sentences import one_sentence
from fineq.shell.words import Word, files_of, num_values, read_words, told
from fineq.shell.xla import hurry
from fineq.studies.area import Area, area_of


class Job(NamedTuple):
    """How one job ended.

    Attributes:
        number: from 1.
        words: what sets it apart, as given on its command line.
        exit_code: as in `fineq.errors`.
        status: of its summary; else `not run` or `interrupted`.
        verdicts: claims by verdict, as in `3 hold`.
        folder: of the run, None where none was made.
        quiet: whether it prints nothing.
    """

    number: int
    words: tuple[str, ...]
    exit_code: int
    status: str
    verdicts: str = ""
    folder: Path | None = None
    quiet: bool = False


class Stopped(BaseException):
    """A job was asked to stop: no other begins. Not an `Exception`, which Hydra would keep."""


def multirun(
    area: Area, overrides: Sequence[str], debug: bool = False, *, alone: bool = False
) -> int:
    """Run every combination, one after the other or as `hydra/launcher` has it.

    Args:
        area: whose command line it is.
        overrides: words, of which some hold several values.
        debug: show where errors arose.
        alone: whether this process is there for this command only.

    Returns:
        The worst exit code; that of the signal when the runs were stopped.

    Raises:
        InputError: for words that cannot be read, and where there is nothing to run.
    """
    words = read_words(area, overrides, many=True)
    varied = tuple(word.key for word in words if word.several)
    task = Task(area.name, varied, debug, hasty=alone and _all_smoke(words), total=_total(words))
    try:
        jobs = _launch(area, words, task)
    except Stopped:
        jobs = task.done
    if not jobs:
        raise InputError(_nothing(area, words))
    _say(jobs)
    if jobs[-1].exit_code >= EXIT_INTERRUPTED:
        print("fineq: stopped; the same command goes on from what was kept", file=sys.stderr)
        return jobs[-1].exit_code
    return max(job.exit_code for job in jobs)


def _launch(area: Area, words: Sequence[Word], task: "Task") -> list[Job]:
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_automatic_config_search_path
    from hydra.core.global_hydra import GlobalHydra

    register(area)
    GlobalHydra.instance().clear()
    texts = [text for word in words for text in files_of(word)]
    with _scratch() as scratch:
        # Hydra's sweeper leaves a file of its own in its folder; a launcher for clusters needs
        # that folder where all machines see it, and then the user names it.
        ours = [] if _names_folder(words) else [f"hydra.sweep.dir='{scratch}'"]
        try:
            with one_sentence():
                search = create_automatic_config_search_path(None, None, str(CONFIGS))
                hydra = Hydra.create_main_hydra2("fineq", search)
                batches = hydra.multirun(area.name, task, ours + texts)
        except Exception as error:
            if task.begun or isinstance(error, FineqError):
                raise
            # Hydra checks little of what is set of its own.
            reason = str(error) or type(error).__name__
            raise InputError(f"Hydra does not take these words ({shortened(reason)})") from error
        finally:
            GlobalHydra.instance().clear()
    returned = [job for batch in batches for job in (batch if isinstance(batch, list) else [batch])]
    return [job.return_value for job in returned]  # an exception that is not ours is raised here


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory()
    except OSError as error:
        why = error.strerror or str(error)
        raise ResourceError(
            f"-m needs a folder for temporary files ({why}): name one that can be written in TMPDIR"
        ) from error


def _all_smoke(words: Sequence[Word]) -> bool:
    """Whether every job is one of seconds; else what one computes would hang on those before it."""
    return any(word.key == "profile" and word.value == "smoke" for word in words)


def _total(words: Sequence[Word]) -> int | None:
    """How many jobs there will be; None where only Hydra's sweeper can tell."""
    counts = [num_values(word) for word in words]
    if any(word.key == "hydra/sweeper" for word in words) or None in counts:
        return None
    return math.prod(filter(None, counts))


def _names_folder(words: Sequence[Word]) -> bool:
    return any(word.key in ("hydra.sweep.dir", "hydra/launcher") for word in words)


def _nothing(area: Area, words: Sequence[Word]) -> str:
    globs = [word for word in words if "glob(" in word.text]
    own = any(word.key == "experiment" for word in globs)
    known = ", ".join(names(area)) if own else "the files there are"
    return f"-m has nothing to run: {' and '.join(w.text for w in globs)} matches none of {known}"


class Task:
    """The task function of a multirun: importable by name, so that launchers can send it away.

    Attributes:
        hasty: whether programs are compiled hastily, in all jobs.
        total: how many jobs there are; None where that is not known.
        done: jobs that ended in this process.
        begun: whether one has begun here.
    """

    def __init__(
        self, area: str, varied: tuple[str, ...], debug: bool, hasty: bool, total: int | None
    ) -> None:
        self.area = area
        self.varied = varied
        self.debug = debug
        self.hasty = hasty
        self.total = total
        self.done: list[Job] = []
        self.begun = False
        self.process = os.getpid()

    def __call__(self, _: Any) -> Job:
        """Run the job that Hydra has configured."""
        from hydra.core.hydra_config import HydraConfig

        self.begun = True
        area = area_of(self.area)
        found = HydraConfig.get()
        job = self._run(area, found.job.num + 1, list(found.overrides.task))
        self.done.append(job)
        if job.exit_code >= EXIT_INTERRUPTED and os.getpid() == self.process:
            raise Stopped
        forget_programs()
        return job

    def _run(self, area: Area, number: int, words: list[str]) -> Job:
        own = tuple(word for word in words if word.partition("=")[0].lstrip("+") in self.varied)
        quiet = False
        try:
            config = compose(area, words)
            quiet = config.quiet
            if not quiet:
                of = f"/{self.total}" if self.total else ""
                print(f"\n[{number}{of}] {' '.join(own)}", flush=True)
            if self.hasty:
                hurry()
            stopped = Job(number, own, EXIT_INTERRUPTED, "interrupted", quiet=quiet)
            farewell = partial(_say, [*self.done, stopped])
            said = told(read_words(area, words))
            code, folder = execute(area, config, farewell=farewell, words=said)
        except FineqError as error:
            code = report_error(error, self.debug)
            ended = "interrupted" if code >= EXIT_INTERRUPTED else "not run"
            return Job(number, own, code, ended, quiet=quiet)
        except KeyboardInterrupt:
            return Job(number, own, EXIT_INTERRUPTED, "interrupted", quiet=quiet)
        return Job(number, own, code, *_of_summary(folder), folder, quiet)


def _say(jobs: Sequence[Job]) -> None:
    if not all(job.quiet for job in jobs):
        print(table(jobs), flush=True)


def _of_summary(folder: Path) -> tuple[str, str]:
    """Status and counts of verdicts; claims without a theory are measured and have none."""
    from fineq.runs.data import DamagedError
    from fineq.runs.summary import read_summary

    try:
        summary = read_summary(folder)
    except DamagedError:
        return "unknown", ""
    counts = Counter(claim["verdict"] for claim in summary["claims"] if claim["verdict"])
    return summary["status"], ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))


def table(jobs: Sequence[Job]) -> str:
    """A line for each job: number, words, status, exit code, verdicts, folder."""
    rows = [("job", "settings", "status", "exit", "verdicts", "folder")]
    rows += [
        (
            str(job.number),
            " ".join(job.words),
            job.status,
            str(job.exit_code),
            job.verdicts or "-",
            str(job.folder or "-"),
        )
        for job in jobs
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n" + "\n".join(lines)
