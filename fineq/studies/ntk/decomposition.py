"""Where the error of a trained network comes from (`ntk/error-decomposition`).

At every training time τ, on fresh points, root mean squares of

    coupling          network - kernel descent, both on noisy labels
    label mismatch    kernel descent on noisy labels - on clean ones
    early stopping    kernel descent on clean labels - its limit at infinite time
    approximation     that limit - f*

and of the total, network - f*, which the sum of the four bounds. Kernel descent is exact at every
τ; the network is trained for `network.num_steps` steps at each width.
"""

from typing import Any

import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.studies import numbers, statistics
from fineq.studies.ntk import common, networks
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis

ROUNDING = 1e-9
PARTS = {
    "mismatch": "label mismatch",
    "stopping": "early stopping",
    "approximation": "approximation",
}
KERNEL = {**PARTS, "risk": "error of kernel descent on noisy labels", "score": "error of its score"}
QUANTITIES = (
    *(Quantity(name, text, ("time",), ()) for name, text in KERNEL.items()),
    *(Quantity(f"early_{name}", text, ("step",), ()) for name, text in KERNEL.items()),
    Quantity("coupling", "coupling", ("step",)),
    Quantity("total", "total error of the network", ("step",)),
    Quantity("bound", "sum of the four terms", ("step",)),
    Quantity("deep", "total error of the deeper network", ("step",), ()),
    *networks.PREDICTIONS,
)
BEST = numbers.where_least("risk", "time")
SHARE = numbers.ratio("total", "bound")


def measure(study: common.Study) -> Found:
    """Kernel descent at every time, the network at every width, and the four terms."""
    times = networks.times_with_networks(study.config)
    found = networks.kernel_errors(study, times)
    kernel = {name: np.asarray(getattr(found, name)) for name in KERNEL}
    lost = common.all_lost(np.asarray(found.diverged), kernel["risk"])
    network = networks.network_errors(study, times, found)
    steps = networks.recorded(study, times)
    early = {name: x[..., : steps.size] for name, x in kernel.items()}
    bound = sum(early[name] for name in PARTS) + network["coupling"]
    trained = f"networks are trained for {study.config.network.num_steps} steps, the kernel for "
    return Found(
        {
            **{name: _seen(x) for name, x in kernel.items()},
            **{f"early_{name}": _seen(x) for name, x in early.items()},
            **network,
            **networks.predictions(found),
            "bound": bound,
            "deep": networks.deep_errors(study, times, found),
        },
        [Axis("width", common.widths_of(study.config), static=True)],
        {"time": times, "step": steps},
        lost,
        {
            **common.target_notes(study.given),
            "horizon": f"{trained}{study.config.descent.last:g}",
            **common.divergence_note(lost),
        },
    )


def _seen(errors: np.ndarray) -> np.ndarray:
    """Below rounding there is nothing to see."""
    return np.where(errors > ROUNDING, errors, np.nan)


def _part(name: str) -> Any:
    return lambda view: np.nan_to_num(view(name, lost=False))


def _crossing(view: View) -> np.ndarray:
    later = _part("mismatch")(view) > _part("stopping")(view)
    first = view.values_of("time")[np.argmax(later, axis=-1)]
    return np.where(later.any(axis=-1), first, np.nan)


def _largest_share(view: View) -> float:
    share = SHARE(view)
    return np.nanmax(share) if np.isfinite(share).any() else np.nan


def _best_step(view: View) -> np.ndarray:
    known = np.isfinite(SHARE(view)).all(axis=-1)
    return np.where(known, numbers.where_least("total", "step")(view), np.nan)


def _is_told(view: View) -> bool:
    """Whether a step is the last, or the one nearest to the kernel's best time."""
    steps = view.values_of("step")
    nearest = steps[np.argmin(np.abs(np.log(steps / np.median(BEST(view)))))]
    return view.at["step"] in (nearest, steps[-1])


def _width(view: View, more: str = "") -> str:
    return f"m = {view.at['width']}{more}"


def _panels(view: View) -> list[figures.Panel]:
    widths = view.values_of("width").tolist()
    wide = widths[-1]
    early = [view.line(f"early_{name}", text) for name, text in PARTS.items()]
    network = [view.line("total", "total", width=wide), *early]
    network += [view.line("coupling", "coupling", width=wide)]
    kernel = [view.line("risk", "total")]
    kernel += [_partly(view.line(name, text)) for name, text in PARTS.items()]
    totals = [view.line("total", f"m = {m}", width=m) for m in widths]
    deep = view.study.config.deep
    totals += [view.line("deep", f"{deep.depth} × {deep.width}, {deep.rule.capitalize()}")]
    shared = {"log": "xy", "ylabel": "root mean square error"}
    bound = view.theory("sum of the four terms", "bound", width=wide)
    limit = view.theory("kernel descent", "early_risk")
    title = f"Network, m = {wide}"
    return [
        view.panel("curves", "step", network, bound, title=title, **shared),
        view.panel("curves", "time", kernel, title="Kernel descent, to the end", **shared),
        view.panel("curves", "step", totals, limit, title="Total error of networks", **shared),
    ]


def _partly(line: figures.Line) -> figures.Line:
    return figures.Line(line.variable, line.label, line.at, missing="below rounding")


STOP, PARTED = "ntk/early-stopping", "ntk/error-decomposition"
run = Recipe(
    bind=common.make_study,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=(
        Row(STOP, "training time of least error of kernel descent, steps", statistics.Median(BEST)),
        Row(
            *(STOP, "last over least error of kernel descent"),
            statistics.Median(numbers.ratio(numbers.last("risk"), numbers.least("risk"))),
            where=common.horizon_in_words,
        ),
        *(
            Row(
                *(PARTED, f"{text} over the error, at the best time"),
                statistics.Median(
                    numbers.ratio(numbers.at_least(_part(name), "risk"), numbers.least("risk"))
                ),
            )
            for name, text in PARTS.items()
        ),
        Row(
            *(PARTED, "first time at which label mismatch exceeds early stopping, over the best"),
            statistics.Median(numbers.ratio(_crossing, BEST), log=True),
        ),
        Row(
            *(PARTED, "total over the sum of the four terms, largest over τ and seeds"),
            statistics.Exact(_largest_share, said=""),
            Theory(1.0, "<=", "triangle inequality", margin=ROUNDING),
            each=("width",),
            where=_width,
        ),
        Row(
            *(PARTED, "coupling over the sum of the four terms"),
            statistics.Median(numbers.ratio("coupling", "bound")),
            each=("width", "step"),
            where=lambda view: _width(view, f", {view.at['step']} steps"),
            when=_is_told,
        ),
        Row(
            *(PARTED, "training time of least total error of the network, steps"),
            statistics.Median(_best_step, log=True),
            each=("width",),
            where=lambda view: _width(view, f", of {view.values_of('step')[-1]} steps"),
        ),
    ),
    figures=(
        Draw(
            "decomposition",
            _panels,
            "Which error dominates when: root mean squares on fresh points against training time.",
        ),
    ),
    when=common.any_kept,
)
