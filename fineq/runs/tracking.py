"""A run followed while it goes on, by event files of TensorBoard: medians, not one run per seed.

    <run>/tracking/<swept values>/events.out.tfevents...

Of each metric that is a number, at every combination of swept values, the median over seeds and
the quantiles that hold the middle 80% of them. Combinations are runs of TensorBoard under one tag,
so that it lays their curves over each other. Nothing that happens here touches the run: the first
failure is said in one sentence, and no more is written.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fineq.iterate import Event

FOLDER = "tracking"
SEED = "seed"
LEVELS = {"median": 0.5, "low": 0.1, "high": 0.9}


class Writer(Protocol):
    """What is needed of `tensorboardX.SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> Any:
        """Write one number."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


def open_tensorboard(folder: Path) -> Writer:
    """A writer of event files in a new folder; raises `ImportError` without the extra `track`."""
    from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

    return SummaryWriter(logdir=str(folder))


class Tracker:
    """Receives the events of a run's stages, and writes them down; a `fineq.iterate.Progress`.

    A combination whose seeds are computed together is written as it goes, any other one when the
    stage has finished.
    """

    def __init__(
        self,
        run: Path,
        num_seeds: int,
        warn: Callable[[str], None],
        open_writer: Callable[[Path], Writer] = open_tensorboard,
    ) -> None:
        """Begin anew: what an earlier attempt has tracked goes.

        Args:
            run: its folder.
            num_seeds: of a whole combination.
            warn: told the first failure.
            open_writer: makes the writer of a folder.
        """
        self._folder = run / FOLDER
        self._num_seeds = num_seeds
        self._warn = warn
        self._open = open_writer
        self._writers: dict[str, Writer] = {}
        self._written: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], tuple[np.ndarray, list[np.ndarray]]] = {}
        self._done: dict[str, int] = {}
        self._active = True
        self._guarded(lambda: shutil.rmtree(self._folder, ignore_errors=True))

    def __call__(self, event: Event) -> None:
        """Write what is new in an event."""
        if event.metrics:
            self._guarded(lambda: self._follow(event))
        if event.phase == "finished":
            self._guarded(self._flush)

    def close(self) -> None:
        """End all files."""
        for writer in self._writers.values():
            self._guarded(writer.close)

    def _guarded(self, act: Callable[[], None]) -> None:
        if not self._active:
            return
        try:
            act()
        except Exception as failure:
            self._active = False
            self._warn(f"not tracked any further, the run goes on: {reason(failure)}")

    def _follow(self, event: Event) -> None:
        # Once for each block: when its members are counted.
        whole = event.members_done > self._done.get(event.stage, 0)
        self._done[event.stage] = event.members_done
        for combination, members in combinations(event):
            for name, values in event.metrics.items():
                rows = np.asarray(values)
                if rows.ndim != 2:  # one member without axes, or a metric that is no number
                    if rows.ndim != 1 or event.swept:
                        continue
                    rows = rows[None]
                tag, rows = f"{event.stage}/{name}", rows[members]
                if len(rows) >= self._num_seeds or not event.swept:
                    self._write(combination, tag, event.iterations, rows)
                elif whole:
                    key = (combination, tag)
                    _, kept = self._waiting.setdefault(key, (event.iterations.copy(), []))
                    kept.append(rows.copy())

    def _flush(self) -> None:
        for (combination, tag), (steps, kept) in self._waiting.items():
            self._write(combination, tag, steps, np.concatenate(kept))
        self._waiting = {}

    def _write(self, combination: str, tag: str, steps: np.ndarray, rows: np.ndarray) -> None:
        begin = self._written.get((combination, tag), 0)
        self._written[combination, tag] = len(steps)
        if combination not in self._writers:
            self._writers[combination] = self._open(self._folder / combination)
        for step, column in zip(steps[begin:], rows.T[begin:], strict=True):
            seen = column[np.isfinite(column)]
            for level, share in LEVELS.items() if seen.size else ():
                value = float(np.quantile(seen, share))
                self._writers[combination].add_scalar(f"{tag}/{level}", value, int(step))


def combinations(event: Event) -> Iterator[tuple[str, np.ndarray]]:
    """Each combination of swept values in an event, as a folder's name, and its members."""
    axes = {name: values for name, values in event.swept.items() if name != SEED}
    num = len(next(iter(event.swept.values()), [None]))
    names = [
        " ".join(f"{axis.rpartition('.')[2]}={_plain(values[i])}" for axis, values in axes.items())
        for i in range(num)
    ]
    for name in dict.fromkeys(names):
        yield name or "all", np.flatnonzero([other == name for other in names])


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else f"{value:.6g}"
    return "".join(letter if letter.isalnum() or letter in "+-." else "_" for letter in text)


def reason(failure: Exception) -> str:
    """A failure in words."""
    if isinstance(failure, ImportError):
        return "track=tensorboard needs tensorboardX, which `make setup EXTRA=track` installs"
    return f"{type(failure).__name__}: {failure}".rstrip(": ")
