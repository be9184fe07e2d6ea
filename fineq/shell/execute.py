"""Carry out one configured study: find its run or open its folder, compute, save, report."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.errors import EXIT_ALL_DIVERGED, EXIT_CLAIM_FAILED, EXIT_DONE, InputError
from fineq.runs import Identity, Run, find_run, identify, open_run
from fineq.runs.drawing import undrawn
from fineq.runs.environment import foreseen_platform, present_platform
from fineq.runs.folders import files_of
from fineq.runs.own_code import own_code
from fineq.settings import switches
from fineq.settings.config import RunConfig
from fineq.shell.backend import prepare_jax
from fineq.shell.compose import settings
from fineq.shell.console import Console, make_console
from fineq.shell.past import expected_stages
from fineq.shell.stop import Stop
from fineq.shell.xla import unfold
from fineq.studies.area import Area
from fineq.studies.inputs import Loaded

if TYPE_CHECKING:
    from fineq.iterate import Event, Progress
    from fineq.studies.common import Run as Study


class Job(NamedTuple):
    """A configuration of an area, not yet loaded.

    Attributes:
        area: of its study.
        config: validated.
        alone: whether the process may be ended by a second Ctrl-C while it compiles.
        farewell: said beside where it is.
        words: of the command line, see `fineq.shell.words.told`; None: not known.
    """

    area: Area
    config: RunConfig
    alone: bool = True
    farewell: Callable[[], None] | None = None
    words: Sequence[str] | None = None

    @property
    def target(self) -> str | None:
        """The `module:function` of the user's that the run imports."""
        return self.area.target(self.config)


def execute(
    area: Area,
    config: RunConfig,
    *,
    alone: bool = True,
    farewell: Callable[[], None] | None = None,
    words: Sequence[str] | None = None,
) -> tuple[int, Path]:
    """Run a study, or find it done, and show what it found; before it the run that it needs.

    A finished run is found before JAX is loaded, unless it may hang on code of the user's, whose
    extent is known only once it has been imported.

    Args:
        area: of the study.
        config: validated.
        alone: whether the process may be ended by a second Ctrl-C while it compiles.
        farewell: called, in a thread, before it is.
        words: of the command line, kept with the run; None: not known.

    Returns:
        The exit code and the run folder.

    Raises:
        FineqError: bad input, too little memory or disk, interruption.
    """
    console = make_console(config.quiet)
    needed = area.needs(config)
    if needed is not None:
        console.line(f"{needed.field}: the {needed.config.study} run that this one goes on from")
        code, folder = execute(area, needed.config, alone=alone, farewell=farewell)
        if code == EXIT_ALL_DIVERGED:
            return code, folder
        config = area.supplied(config, folder)
        console.line(f"{needed.field}={folder}")
    job = Job(area, config, alone, farewell, words)
    unfold()
    run = _found(job)
    if run is None:
        prepare_jax()
        from fineq.iterate.session import memory_errors

        with memory_errors("the configuration"):
            study, loaded = area.begin(config)
        run = open_run(job.config.output, _identity(job, loaded.given), force=job.config.force)
        run.words = job.words
        with run:
            for sentence in run.damage:
                console.line(f"{sentence}; it is made again")
            if not run.complete:
                _compute(run, job, study, loaded, console)
                return _report(run, job, console)
    console.line("this run is complete; force=true computes it again")
    for remark in run.remarks:
        console.line(remark)
    return _report(run, job, console)


def _found(job: Job) -> Run | None:
    platform = foreseen_platform()
    if job.config.force or job.target is not None or platform is None:
        return None
    # A file that cannot be read is named in better words by what needs it.
    with contextlib.suppress(InputError):
        return find_run(job.config.output, identified(job, platform, {}))
    return None


def _identity(job: Job, given: Any) -> Identity:
    own = {}
    if job.target is not None:
        switches.check(job.target)
        own = own_code(job.target, given.function)
    return identified(job, present_platform(), own)


def identified(job: Job, platform: str, own: Mapping[str, str]) -> Identity:
    """What names the run of a job on a platform, with the digests of the user's own sources."""
    config = job.config
    return identify(
        job.area.name,
        config.study,
        config.name,
        settings(config),
        job.area.files(config),
        platform=platform,
        own=own,
        flags=switches.flags(),
    )


def _compute(run: Run, job: Job, study: "Study", loaded: Loaded, console: Console) -> None:
    from fineq.iterate import interruptible
    from fineq.iterate.session import memory_errors
    from fineq.runs.checkpoint import Checkpoints
    from fineq.sweep.stages import Stages

    read = {field: f"{field}: {words}" for field, words in loaded.read.items()}
    for sentence in read.values():
        console.line(sentence)
    if run.resumed:
        console.line("going on from where an earlier attempt was interrupted")
    started = time.monotonic()
    stages = Stages(
        store=Checkpoints(run.checkpoints, run.identity.hash, console.line),
        block_size=job.config.block_size,
        save_seconds=job.config.save_every,
    )
    stop = Stop(console, job.farewell)
    abandon = stop.abandon if job.alone else None
    expected = expected_stages(job.config.output, job.area.name, settings(job.config))
    with (
        console.progress("gap", expected) as progress,
        _followed(progress, run, job, console) as stages.progress,
        interruptible(stop.acknowledge, abandon),
    ):
        with memory_errors(job.config.study):
            result = study(job.config, loaded.given, stages)
        # Kept with the run, so that a run that is found says it as well.
        result = dataclasses.replace(result, notes={**read, **result.notes})
        switches.check(job.target or job.config.study)
        timing = {**stages.timing, "total": time.monotonic() - started}
        run.save(result, timing, job.config.precision, stages.blocks, stages.seconds)


@contextlib.contextmanager
def _followed(progress: "Progress", run: Run, job: Job, console: Console) -> Iterator["Progress"]:
    """The display of a run, and beside it what tracks it where that is asked for."""
    if job.config.track == "none":
        yield progress
        return
    from fineq.runs.tracking import Tracker

    tracker = Tracker(run.path, job.config.seeds, console.line)

    def both(event: "Event") -> None:
        progress(event)
        tracker(event)

    try:
        yield both
    finally:
        tracker.close()


def _report(run: Run, job: Job, console: Console) -> tuple[int, Path]:
    summary = run.summary()
    console.report(summary, files_of(run.path, summary))
    for name, why in undrawn(summary).items():
        console.line(f"figure {name} not drawn ({why}); the same command draws it again")
    return _exit_code(summary, job.config.strict), run.path


def _exit_code(summary: Mapping[str, Any], strict: bool) -> int:
    if summary["status"] == "diverged":
        return EXIT_ALL_DIVERGED
    failed = any(claim["verdict"] == "fails" for claim in summary["claims"])
    return EXIT_CLAIM_FAILED if strict and failed else EXIT_DONE
