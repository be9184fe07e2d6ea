"""What a person sees of a run: progress while it runs, a table of claims at the end.

On a terminal a bar with the current error, the measured rate and the time left; elsewhere plain
lines without control characters; nothing when quiet.
"""

import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fineq.shell.course import Course, duration
from fineq.shell.reading import Reading, Report, read
from fineq.shell.streams import Lasting, readable, visible
from fineq.table import NARROW, NOTHING, Row, rows_of

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

PLAIN_WIDTH = 100
WIDEST = 500  # columns of a table, whatever COLUMNS says
SECONDS_BETWEEN_LINES = 10.0


class Console:
    """Where a command writes what a person should see; made by `make_console`."""

    def __init__(self, rich: "RichConsole", clock: Callable[[], float] = time.monotonic):
        self._rich = rich
        self._clock = clock

    @property
    def live(self) -> bool:
        """Whether this is a terminal on which a bar may move."""
        return self._rich.is_terminal and not self._rich.quiet

    def line(self, text: str) -> None:
        """Write one line."""
        self._rich.print(_safe(text, self._rich), markup=False, highlight=False, soft_wrap=True)

    def release(self) -> None:
        """Give the terminal back as it was, before the process is ended."""
        if self.live:
            self._rich.show_cursor(True)

    @contextmanager
    def progress(
        self, metric: str = "", expected: Mapping[str, float] | None = None
    ) -> Iterator[Callable[[Report], None]]:
        """Show reports while the block runs.

        Args:
            metric: names the error among the metrics.
            expected: seconds that each stage may take, see `fineq.shell.course`.
        """
        course = Course(expected)
        if not self.live:
            yield _Lines(self, metric, self._clock, course)
            return
        from fineq.shell.terminal import Bars

        with Bars(self._rich, metric, self._clock, course) as bars:
            yield bars

    def report(self, summary: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Write how a run ended: the table of its claims, its notes, the paths of its files."""
        parts = rows_of(summary["claims"])
        if any(parts) and self._rich.width < NARROW:
            for row in (row for rows in parts for row in rows):
                self.line(paragraph(row))
        elif any(parts):
            self._table(claims_table(parts, self._rich))
        if any(row.stands_for > 1 for rows in parts for row in rows):
            self.line("(n): one row for n claims; they stand one by one in summary.json")
        for note in filter(None, summary.get("notes", {}).values()):
            self.line(f"note: {note}")
        self.line(_ending(summary))
        for path in files:
            self.line(f"  {shortest(path)}")

    def _table(self, table: Any) -> None:
        if self.live:
            self._rich.print(table)
            return
        with self._rich.capture() as captured:
            self._rich.print(table)
        for line in captured.get().strip("\n").split("\n"):
            self.line(line.rstrip())


def make_console(
    quiet: bool = False,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Console:
    """Return the console for a stream (standard output by default)."""
    from rich.console import Console as RichConsole

    given = sys.stdout if stream is None else stream
    out: Any = given if isinstance(given, Lasting) else Lasting(given)
    live = out.isatty() and os.environ.get("TERM") != "dumb"
    width, height = _told_width(), shutil.get_terminal_size().lines
    # With both, rich does not ask the environment.
    options: dict[str, Any] = {"width": width, "height": height} if width else {}
    if not live:
        options = {"width": width or PLAIN_WIDTH, "height": height, "color_system": None}
    return Console(RichConsole(file=out, quiet=quiet, force_terminal=live, **options), clock)


def _told_width() -> int:
    """What the environment says of the width; 0 where it says nothing."""
    columns = os.environ.get("COLUMNS", "")
    if not (columns.isascii() and columns.isdigit()):
        return 0
    return min(int(columns.lstrip("0")[:4] or 0), WIDEST)


class _Lines:
    """Plain lines: one when a stage compiles, one now and then, one when it ends."""

    def __init__(
        self, console: Console, metric: str, clock: Callable[[], float], course: Course
    ) -> None:
        self._course = course
        self._console = console
        self._metric = metric
        self._clock = clock
        self._last = -math.inf

    def __call__(self, report: Report) -> None:
        reading = read(report, self._metric)
        label = self._course.label(report.stage)
        left = self._course.left(report, reading.fraction)
        due = self._clock() - self._last >= SECONDS_BETWEEN_LINES
        if report.phase == "running" and not due:
            return
        self._last = self._clock()
        parts = [*_parts(report, reading), *([f"{duration(left)} left"] if left > 0 else [])]
        self._console.line(f"{label}: {', '.join(parts)}")


def _parts(report: Report, reading: Reading) -> Iterator[str]:
    if report.phase == "compiling":
        yield "compiling"
        return
    yield f"{100 * reading.fraction:.0f}%"
    yield f"{report.elapsed:.1f} s"
    yield from filter(None, [reading.text()])


def claims_table(parts: Sequence[Sequence[Row]], rich: "RichConsole") -> Any:
    """Return rows as a table, in parts: claim, measured with interval, theory, verdict."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    for name, share in (("claim", 5), ("measured", 3), ("theory", 3)):
        table.add_column(name, ratio=share, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for rows in parts:
        for row in rows:
            about = Text(_safe(row.id, rich), style="bold")
            about.append("\n" + _safe(row.about, rich), style="not bold")
            if row.reason:
                about.append("\n" + _safe(row.reason, rich), style="not bold yellow")
            cells = (Text(_safe(cell, rich)) for cell in (row.measured, row.theory))
            table.add_row(about, *cells, Text(_safe(row.ending, rich), _verdict_style(row.verdict)))
        table.add_section()
    return table


def paragraph(row: Row) -> str:
    """Return a row of the table as lines, for terminals too narrow for columns."""
    theory = f"theory {row.theory}" if row.theory != NOTHING else ""
    parts = (row.about, row.reason, f"measured {row.measured}", theory)
    lines = [", ".join(part.split("\n")) for part in parts if part]
    return "\n  ".join([f"{row.id}: {row.ending}", *lines])


def _verdict_style(verdict: str | None) -> str:
    return {"holds": "green", "fails": "bold red", None: "dim"}.get(verdict, "yellow")


def _ending(summary: Mapping[str, Any]) -> str:
    timing = summary.get("timing", {})
    phases = [f"{name} {value:.1f} s" for name, value in timing.items() if value is not None]
    return f"{summary['study']}: {summary['status'].replace('_', ' ')}" + (
        f" ({', '.join(phases)})" if phases else ""
    )


def shortest(path: Path) -> str:
    """Return the path as seen from the current folder when it lies below it."""
    try:
        return str(Path(path).absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _safe(text: str, rich: "RichConsole") -> str:
    """Return the text in letters that the stream has: widths are measured before it is written.

    What was read from the disk may hold characters that steer a terminal.
    """
    return readable(visible(text, keep="\n"), rich.encoding)
