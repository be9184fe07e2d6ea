"""What a person sees: plain lines without control characters, bars on a terminal, the table."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fineq.claims import Measured
from fineq.confidence import LEVEL
from fineq.iterate import Event
from fineq.shell.console import make_console, shortest
from fineq.shell.course import Course, duration
from fineq.shell.reading import read
from fineq.table import instances_words, measured_words, rows_of, theory_words

ITERATIONS = np.arange(0, 101, 10)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def event(
    phase: Any = "running", errors=None, done: int = 0, members: int = 1, at: int = 100
) -> Event:
    errors = 0.9**ITERATIONS if errors is None else errors
    return Event("descent", phase, done, members, at, 200, ITERATIONS, {"error": errors}, 1.5)


def claim(**changes: Any) -> dict[str, Any]:
    measured = {"value": 0.93123, "low": 0.9301, "high": 0.9323, "unit": "1"}
    theory = {"value": 0.94, "relation": "<=", "formula": "1 - ημ", "note": ""}
    about = {"id": "nlqr/linear-convergence", "statement": "converges", "instance": "clear"}
    return {**about, "measured": measured, "theory": theory, "verdict": "holds", **changes}


def summary(**changes: Any) -> dict[str, Any]:
    timing = {"compile": 1.25, "run": 3.0}
    base = {"study": "linear", "status": "partly_diverged", "timing": timing, "notes": {"a": "why"}}
    return {**base, "claims": [claim()], **changes}


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_reading_gives_error_ratio_and_fraction():
    reading = read(event())
    assert reading.error == pytest.approx(0.9**100)
    assert reading.ratio == pytest.approx(0.9, rel=1e-12)
    assert reading.fraction == 0.5
    assert reading.diverged == 0


def test_numbers_that_are_not_there_yet_have_not_diverged():
    nan = np.nan
    begun = Event("descent", "running", 0, 2, 0, 9, np.array([0]), {"e": np.full((2, 1), nan)}, 1.0)
    assert read(begun).diverged == 0
    errors = np.array([[nan, 2.0, 1.0], [nan, 2.0, nan]])
    assert read(begun._replace(iterations=np.arange(3), metrics={"e": errors})).diverged == 1


def test_reading_of_a_block_takes_medians_and_counts_the_diverged():
    errors = np.stack([0.8**ITERATIONS, 0.9**ITERATIONS, 0.95**ITERATIONS, 0.9**ITERATIONS])
    errors[3, 4:] = np.nan
    reading = read(event(errors=errors, done=4, members=8))
    assert reading.ratio == pytest.approx(0.9, rel=1e-12)
    assert reading.error == pytest.approx(0.9**100)
    assert reading.diverged == 1
    assert reading.fraction == (4 + 4 * 0.5) / 8


@pytest.mark.parametrize("errors", [np.full(11, np.nan), np.zeros(11), -np.ones(11)])
def test_reading_without_usable_errors_has_no_ratio(errors):
    assert math.isnan(read(event(errors=errors)).ratio)


def test_reading_without_metrics():
    bare = Event("x", "compiling", 0, 4, 0, 10, np.zeros(0), {}, 0.0)
    assert read(bare).text() == ""
    assert read(bare).fraction == 0.0


def test_the_named_metric_is_shown():
    both = event()._replace(metrics={"a": np.ones(11), "gap": 0.5**ITERATIONS})
    assert read(both, "gap").ratio == pytest.approx(0.5)
    assert read(both, "other").ratio == pytest.approx(1.0)
    assert read(both, "gap").text().startswith("error 7.89e-31, rate 0.5000/step")


def test_what_is_no_error_is_called_by_its_name_and_has_no_rate():
    cost = event()._replace(metrics={"last_cost": np.full(11, 9.48)})
    assert read(cost, "gap").text() == "last cost 9.48e+00"


def plain_output(events, gaps=0.0) -> list[str]:
    stream = io.StringIO()
    clock = Clock()
    console = make_console(stream=stream, clock=clock)
    with console.progress() as show:
        for one in events:
            show(one)
            clock.now += gaps
    return stream.getvalue().splitlines()


def test_plain_lines_come_now_and_then_and_at_the_end():
    events = [event("compiling", at=0), *[event()] * 50, event("finished", done=1, at=200)]
    assert plain_output(events) == [
        "descent: compiling",
        "descent: 100%, 1.5 s, error 2.66e-05, rate 0.9000/step",
    ]
    # 52 events, 1 s apart: one line per 10 s between the first and the last.
    assert len(plain_output(events, gaps=1.0)) == 2 + 5


def test_plain_output_has_no_control_characters():
    stream = io.StringIO()
    console = make_console(stream=stream)
    with console.progress() as show:
        show(event("compiling"))
        show(event("finished"))
    console.line("[bold]kept[/bold] as it is")
    console.report(summary(), [Path("data.nc")])
    text = stream.getvalue()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "[bold]kept[/bold] as it is" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_table_says_claim_measured_theory_verdict(wide):
    for stream in (io.StringIO(), Terminal()):
        make_console(stream=stream).report(summary(), [Path.cwd() / "a" / "f.png", Path("/x/d.nc")])
        text = stream.getvalue()
        for word in (
            *("claim", "measured", "theory", "verdict", "nlqr/linear-convergence"),
            *("0.9312", "[0.9301, 0.9323]", "≤ 0.94", "1 - ημ", "holds", "converges (clear)"),
            *("note: why", "linear: partly diverged (compile 1.2 s, run 3.0 s)"),
            *("  a/f.png", "  /x/d.nc"),
        ):
            assert word in text


def test_a_terminal_gets_bars(wide):
    stream = Terminal()
    clock = Clock()
    console = make_console(stream=stream, clock=clock)
    assert console.live
    with console.progress() as show:
        show(event("compiling", at=0))
        show(event(at=50))
        clock.now = 30.0
        show(event(at=100))
        console.line("a line meanwhile")
    text = stream.getvalue()
    assert "\x1b[" in text
    assert "descent" in text
    assert "error 2.66e-05, rate 0.9000/step" in text
    # 50 of 200 steps took 30 s, 100 are left.
    assert "1 min 00 s left" in text
    assert "a line meanwhile" in text


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    assert not make_console(stream=stream).live


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_silent(stream):
    console = make_console(quiet=True, stream=stream)
    with console.progress() as show:
        show(event())
    console.line("x")
    console.report(summary(), [Path("a")])
    assert stream.getvalue() == ""


def test_a_measurement_alone_has_no_verdict():
    stream = io.StringIO()
    make_console(stream=stream).report(summary(claims=[claim(theory=None, verdict=None)]), [])
    assert stream.getvalue().count("–") == 2


def test_a_stream_that_cannot_write_greek_gets_its_names():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    make_console(stream=stream).report(summary(), [])
    stream.seek(0)
    text = stream.read()
    assert "<= 0.94" in text
    assert "1 - etamu" in text
    assert "?" not in text


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_narrow_terminal_gets_paragraphs_with_whole_numbers(kind, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = kind()
    console = make_console(stream=stream)
    with console.progress() as show:
        show(event())
    console.report(summary(claims=[claim(), claim(theory=None, verdict=None)]), [])
    text = stream.getvalue()
    assert "nlqr/linear-convergence: holds\n  converges (clear)\n" in text
    assert "\n  measured 0.9312, [0.9301, 0.9323]\n  theory ≤ 0.94, 1 - ημ\n" in text
    assert text.count("theory") == 1


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
@pytest.mark.parametrize("columns", ["100000000", "9" * 5000])
def test_a_table_is_never_wider_than_can_be_read(kind, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = kind()
    make_console(stream=stream).report(summary(), [])
    assert 100 < max(map(len, stream.getvalue().splitlines())) < 1000  # styles take letters


def swept(verdict: str | None, statement: str = "μ at K*", count: int = 10) -> list[dict[str, Any]]:
    """The same claim at `count` values of ℓ, the k-th with value k and interval k ± 0.5."""
    theory = None if verdict is None else claim()["theory"]
    return [
        claim(
            statement=statement,
            instance=f"r = 1, ℓ = {k}, 8 seeds",
            measured={"value": k, "low": k - 0.5, "high": k + 0.5, "unit": "1"},
            theory=theory and {**theory, "value": 10.0 * k},
            verdict=verdict,
        )
        for k in range(1, count + 1)
    ]


def test_a_large_sweep_has_judged_claims_first_and_one_row_per_measured_quantity():
    mixed = [*swept(None), *swept("holds"), *swept(None, "h at K*"), *swept("fails", count=2)]
    judged, measured = rows_of(mixed)
    assert [(row.verdict, row.stands_for) for row in judged] == [
        ("holds", 10),
        ("fails", 1),
        ("fails", 1),
    ]
    assert [(row.about, row.stands_for) for row in measured] == [
        ("μ at K* (r = 1, ℓ = 1 … 10, 8 seeds)", 10),
        ("h at K* (r = 1, ℓ = 1 … 10, 8 seeds)", 10),
    ]
    assert measured[0].measured == "1 … 10\nwithin [0.5, 10.5]"
    assert judged[0].theory == "≤ 10 … 100\n1 - ημ"
    assert judged[0].ending == "holds (10)"
    stream = io.StringIO()
    make_console(stream=stream).report(summary(claims=mixed), [])
    text = stream.getvalue()
    assert text.index("holds (10)") < text.index("h at K*")
    assert "one by one in summary.json" in text


def test_rows_of_a_few_claims_are_their_own():
    judged, measured = rows_of([*swept("holds", count=4), *swept(None, count=1)])
    assert [row.stands_for for row in (*judged, *measured)] == [1] * 5


def test_ranges_count_what_is_missing_and_have_no_end_where_one_is_open():
    known = {"value": 2.0, "low": 1.0, "high": 3.0, "unit": "s"}
    unknown = {"value": None, "low": None, "high": 5.0, "unit": "s"}
    assert measured_words(known, unknown) == "2 (– 1 times) s\nwithin [–, 5]"
    assert measured_words(unknown, unknown) == "– s\nwithin [–, 5]"


@pytest.mark.parametrize(
    ("instances", "words"),
    [
        (["a", "a"], "a"),
        (["ℓ = 10, 3 seeds", "ℓ = 9, 3 seeds"], "ℓ = 9 … 10, 3 seeds"),
        (["kernel = sin, x", "kernel = tanh, x"], "kernel = sin … tanh, x"),
        (["a, b", "c"], "a, b … c"),
        (["", ""], ""),
        (["3 seeds", "2 of 3 seeds"], "3 seeds … 2 of 3 seeds"),
    ],
)
def test_instances_in_words(instances, words):
    assert instances_words(instances) == words


def test_claims_without_numbers_or_theory():
    assert theory_words(None) == "–"
    about = {"value": 0.5, "relation": "~", "formula": "", "margin": 0.05, "note": ""}
    assert theory_words(about) == "≈ 0.5 ± 0.05"
    assert measured_words({"value": None, "low": None, "high": None, "unit": "1"}) == "–"
    assert measured_words({"value": 2.0, "low": 1.0, "high": None, "unit": "s"}) == "2 s\n[1, –]"


def test_the_confidence_is_said_where_it_is_not_95_percent():
    measured = {"value": 2.0, "low": 1.0, "high": 3.0, "unit": "1", "confidence": LEVEL}
    point = {**measured, "low": 2.0, "high": 2.0, "confidence": 1.0}
    few = {**measured, "confidence": 0.75}
    assert measured_words(measured) == "2\n[1, 3]"
    assert measured_words(few) == "2\n[1, 3] 75%"
    assert measured_words(point) == "2"
    assert measured_words(point, {**point, "value": 3.0, "low": 3.0, "high": 3.0}) == "2 … 3"
    assert measured_words({**measured, "confidence": 1.0}) == "2\nrange 1 … 3"
    infinite = {"unit": "1", "confidence": 1.0, **vars(Measured.exact(math.inf))}
    assert measured_words(infinite) == "infinite"
    assert measured_words(infinite, point) == "2 … infinite"
    assert measured_words(measured, few, point) == "2\nwithin [1, 3] 75%"


def test_margins_and_reasons_are_those_of_the_claim(wide):
    stream = io.StringIO()
    theory = {"value": 0.5, "relation": "~", "formula": "", "note": ""}
    open_ = {"verdict": "inconclusive", "reason": "6 seeds decide", "confidence": 0.75}
    given = [claim(**open_, theory=theory, margin=0.05), claim(reason="said in the summary only")]
    make_console(stream=stream).report(summary(claims=given), [])
    for words in ("6 seeds decide", "[0.9301, 0.9323] 75%", "≈ 0.5 ± 0.05"):
        assert words in stream.getvalue()
    assert "said in the summary only" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.4, "4 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min"), (7260, "2 h 01 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_paths_are_short_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shortest(tmp_path / "a" / "b") == "a/b"
    assert shortest(Path("/elsewhere/b")) == "/elsewhere/b"


def staged(stage: str, phase: Any, elapsed: float = 0.0, at: int = 0) -> Event:
    return event(phase, at=at)._replace(stage=stage, elapsed=elapsed)


def test_stages_are_numbered_once_a_run_like_this_is_known():
    course = Course({"a": 10.0, "b": 30.0})
    assert [course.label(stage) for stage in ("a", "b", "a", "c")] == [
        *("[1/2] a", "[2/2] b", "[1/2] a", "[3/3] c")
    ]
    assert Course().label("a") == "a"


def test_time_left_is_that_of_stages_to_come_at_the_pace_of_those_that_ended():
    course = Course({"a": 10.0, "b": 30.0, "c": 2.0})
    assert course.left(staged("a", "compiling"), 0.0) == 42.0
    assert course.left(staged("a", "running"), 0.5) == 37.0
    # It took twice as long as was expected, and so will the others.
    assert course.left(staged("a", "finished", 20.0), 1.0) == 64.0
    assert course.left(staged("b", "running"), 0.5) == 34.0
    assert course.left(staged("b", "finished", 60.0), 1.0) == 4.0
    assert course.left(staged("c", "finished", 4.0), 1.0) == 0.0


def test_time_left_is_not_told_of_stages_that_nothing_is_known_of():
    assert math.isnan(Course().left(staged("a", "running"), 0.5))
    course = Course({"b": 1.0})
    assert math.isnan(course.left(staged("a", "finished", 1.0), 1.0))
    assert math.isnan(course.left(staged("b", "running"), 0.5))


def test_plain_lines_say_the_stage_and_the_time_left():
    stream = io.StringIO()
    with make_console(stream=stream).progress(expected={"a": 60.0, "b": 90.0}) as show:
        show(staged("a", "compiling"))
        show(staged("a", "finished", 60.0, 200)._replace(members_done=1))
        show(staged("b", "finished", 90.0, 200)._replace(members_done=1))
    first, second, third = stream.getvalue().splitlines()
    assert first == "[1/2] a: compiling, 2 min 30 s left"
    assert second.startswith("[1/2] a: 100%, 60.0 s, error ")
    assert second.endswith(", 1 min 30 s left")
    assert third.startswith("[2/2] b: 100%, 90.0 s, ")
    assert not third.endswith("left")


def test_bars_say_the_stage_and_the_time_left(wide):
    stream = Terminal()
    with make_console(stream=stream).progress(expected={"a": 60.0, "b": 90.0}) as show:
        show(staged("a", "compiling"))
    assert "[1/2] a" in stream.getvalue()
    assert "2 min 30 s left in all" in stream.getvalue()
