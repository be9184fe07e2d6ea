"""How close networks stay to kernel descent, against their width (`ntk/coupling`).

Both descend on the same noisy labels with the same step size; the distance on fresh points is
followed over training, for networks that start at output 0 and for those that do not.
"""

import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.studies import statistics
from fineq.studies.ntk import common, networks
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis

SHORT = 0.1  # of the horizon: where slopes are fitted a second time
MARGIN = 0.05  # on the exponent -1/2
LABELS = {start: text.replace("f_0", "$f_0$") for start, text in common.STARTS.items()}
QUANTITIES = (
    Quantity("distance", "distance of network and kernel descent, root mean square", ("time",)),
    Quantity("gap", "distance of network and kernel descent, largest over training"),
    Quantity("early_gap", "distance of network and kernel descent, largest over its first tenth"),
    *networks.PREDICTIONS,
)
WHOLE, EARLY = (
    statistics.Exponent(name, "width", MARGIN, "larger network.widths", limit=-0.5)
    for name in ("gap", "early_gap")
)


def measure(study: common.Study) -> Found:
    """Train networks of every width from the configured start, and from a plain one."""
    times = networks.times_with_networks(study.config)
    kernel = networks.kernel_errors(study, times)
    starts = list(dict.fromkeys([study.config.network.start, "plain"]))
    runs = [networks.network_errors(study, times, kernel, start) for start in starts]
    apart, predicted = (np.stack([x[key] for x in runs]) for key in ("coupling", "predicted"))
    lost = np.asarray(kernel.diverged)
    apart = np.where(lost[..., None], np.nan, apart)
    steps = networks.recorded(study, times)
    few = steps <= max(SHORT * steps[-1], steps[0])
    gap = np.max(apart, axis=-1)
    return Found(
        {
            "distance": apart,
            "gap": gap,
            "early_gap": np.max(apart[..., few], axis=-1),
            "predicted": predicted,
            **networks.predictions(kernel),
        },
        [Axis("start", starts, static=True), *study.own],
        {"time": steps},
        ~np.isfinite(gap),
        {**common.target_notes(study.given), **common.divergence_note(lost)},
        more={"whole": steps[-1], "early": steps[few][-1]},
    )


def _plain(view: View) -> bool:
    return view.at["start"] == "plain"


def _unless_plain(theory: Theory):
    # What f_0 leaves is there from the start.
    return lambda view: None if _plain(view) else theory


def _during(horizon: str):
    return lambda view: f"{common.widths_in_words(view)}, {view.found.more[horizon]} steps"


def _at_largest(view: View) -> np.ndarray:
    last = view("gap")[-1]
    return np.where(np.isfinite(last), last, np.inf)


def _panels(view: View) -> list[figures.Panel]:
    """Against the width, and over training from the first start."""
    starts, widths = view.values_of("start"), view.values_of("width")
    against = view.panel(
        "powerlaw",
        "width",
        [view.line("gap", LABELS[start], fit=WHOLE, start=start) for start in starts],
        figures.Theory(r"$\propto m^{-1/2}$, slope only", exponent=-0.5, line=0),
        title="Largest distance",
        ylabel="distance, root mean square",
    )
    first = starts[0]
    over_time = view.panel(
        "curves",
        "time",
        [view.line("distance", f"m = {m}", start=first, width=m) for m in widths.tolist()],
        title=f"Over training, {LABELS[first]}",
        log="xy",
        ylabel="distance, root mean square",
        ordered=True,
    )
    return [against, over_time]


HALF = _unless_plain(Theory(-0.5, "~", "m^-½", margin=MARGIN))
LARGEST = "exponent in m of the largest distance, {start}"

run = Recipe(
    bind=common.bind_widths,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=(
        Row("ntk/coupling", LARGEST, WHOLE, HALF, ("start",), _during("whole")),
        Row(
            *("ntk/coupling", LARGEST, EARLY, HALF, ("start",), _during("early")),
            when=lambda view: not _plain(view),
        ),
        Row(
            "ntk/coupling",
            "whether the largest distance falls: exponent in m, {start}",
            WHOLE,
            _unless_plain(Theory(0.0, "<=", "the distance falls with m")),
            ("start",),
            _during("whole"),
            undecided=lambda view, got: "",
        ),
        Row(
            "ntk/coupling",
            "largest distance, {start}",
            statistics.Median(_at_largest),
            each=("start",),
            where=lambda view: f"m = {view.values_of('width')[-1]}",
        ),
    ),
    figures=(Draw("coupling", _panels, "Network and kernel descent, fresh points."),),
)
