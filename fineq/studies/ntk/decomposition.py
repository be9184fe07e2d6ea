"""Where the error of a trained network comes from (`ntk/error-decomposition`).

At every training time τ, on fresh points, root mean squares of

    coupling          network - kernel descent, both on noisy labels
    label mismatch    kernel descent on noisy labels - on clean ones
    early stopping    kernel descent on clean labels - its limit at infinite time
    approximation     that limit - f*

and of the total, network - f*, which the sum of the four bounds. Kernel descent is exact at every
τ; the network is trained for `network.num_steps` steps at each width.
"""

from functools import partial

import numpy as np

from fineq.claims import Claim, Measured, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import Slice, dims_of, named_arrays, small_multiples
from fineq.studies.ntk.common import (
    Study,
    coords_of,
    counting,
    divergence_note,
    kept,
    make_study,
    median,
    named_instance,
    over,
    ratio_interval,
    slices,
    target_notes,
    widths_of,
    with_losses,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.studies.ntk.networks import (
    Errors,
    deep_errors,
    kernel_errors,
    network_errors,
    recorded,
    times_with_networks,
)
from fineq.sweep.stages import Stages

ROUNDING = 1e-9
KERNEL = {
    "mismatch": "label mismatch",
    "stopping": "early stopping",
    "approximation": "approximation",
    "risk": "error of kernel descent on noisy labels",
    "score": "error of its score",
}
PARTS = ("mismatch", "stopping", "approximation")
NETWORK = {"coupling": "coupling", "total": "total error of the network"}


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Kernel descent at every time, the network at every width, and the four terms."""
    study = make_study(config, given, stages)
    times = times_with_networks(config)
    found = kernel_errors(study, times)
    kernel = {name: np.asarray(getattr(found, name)) for name in (*KERNEL, "diverged")}
    kernel = with_losses(kernel, "risk")
    network = network_errors(study, times, found)
    deep = deep_errors(study, times, found)
    return StudyResult(
        *_arrays(study, times, kernel, network, deep),
        tuple(_claims(study, times, kernel, network)),
        (),
        _figures(study),
        status=status_of(kernel["diverged"]),
        notes={**target_notes(given), **_notes(study), **divergence_note(kernel["diverged"])},
    )


def _claims(study: Study, times: np.ndarray, kernel: Errors, network: Errors) -> list[Claim]:
    claims = []
    for piece, own in kept(study, kernel):
        about = partial(counting(study), kept=len(own["diverged"]))
        instance = named_instance(study, piece)
        best = own["risk"].argmin(axis=-1)
        at_best = {k: np.take_along_axis(own[k], best[:, None], -1)[:, 0] for k in PARTS}
        claims += [
            about(
                "ntk/early-stopping",
                median(times[best]),
                instance=instance,
                what="training time of least error of kernel descent, steps",
            ),
            about(
                "ntk/early-stopping",
                median(over(own["risk"][:, -1], own["risk"].min(axis=-1))),
                instance=f"{instance}, τ = {times[-1]:g}",
                what="last over least error of kernel descent",
            ),
        ]
        claims += [
            about(
                "ntk/error-decomposition",
                median(over(at_best[name], own["risk"].min(axis=-1))),
                instance=instance,
                what=f"{KERNEL[name]} over the error, at the best time",
            )
            for name in PARTS
        ]
        later = own["mismatch"] > own["stopping"]
        crossing = np.where(later.any(axis=-1), times[np.argmax(later, axis=-1)], np.nan)
        claims.append(
            about(
                "ntk/error-decomposition",
                ratio_interval(crossing / times[best]),
                instance=instance,
                what="first time at which label mismatch exceeds early stopping, over the best",
            )
        )
        bound = own["mismatch"] + own["stopping"] + own["approximation"]
        good = ~kernel["diverged"][piece.index]
        for i, width in enumerate(widths_of(study.config)):
            coupling, total = (network[name][(i, *piece.index)][good] for name in NETWORK)
            whole = bound[:, : coupling.shape[-1]] + coupling
            share = over(total, whole)
            steps = recorded(study, times)
            at = int(np.argmin(np.abs(np.log(steps / np.median(times[best])))))
            known = np.isfinite(share)
            claims += [
                about(
                    "ntk/error-decomposition",
                    Measured.exact(float(share[known].max()) if known.any() else float("nan")),
                    Theory(1.0, "<=", "triangle inequality", margin=ROUNDING),
                    instance=f"{instance}, m = {width}",
                    what="total over the sum of the four terms, largest over τ and seeds",
                ),
                *(
                    about(
                        "ntk/error-decomposition",
                        median(over(coupling, whole)[:, place]),
                        instance=f"{instance}, m = {width}, {steps[place]} steps",
                        what="coupling over the sum of the four terms",
                    )
                    for place in sorted({at, len(steps) - 1})
                ),
                about(
                    "ntk/error-decomposition",
                    ratio_interval(steps[total[known.all(axis=-1)].argmin(axis=-1)]),
                    instance=f"{instance}, m = {width}, of {steps[-1]} steps",
                    what="training time of least total error of the network, steps",
                ),
            ]
    return claims


def _arrays(
    study: Study, times: np.ndarray, kernel: Errors, network: Errors, deep: np.ndarray
) -> tuple[Arrays, Arrays]:
    dims, steps = dims_of(study.axes), recorded(study, times)
    # Below rounding there is nothing to see.
    kernel = {name: np.where(x > ROUNDING, x, np.nan) for name, x in kernel.items()}
    arrays = named_arrays(kernel, dims, KERNEL, last=("time",))
    early = {name: kernel[name][..., : steps.size] for name in KERNEL}
    arrays |= named_arrays(early, dims, KERNEL, prefix="early_", last=("step",))
    arrays |= named_arrays(network, ("width", *dims), NETWORK, last=("step",))
    arrays["deep"] = Named(deep, (*dims, "step"), "1", "total error of the deeper network")
    widths = np.asarray(widths_of(study.config))
    return arrays, coords_of(study.axes, study.config, time=times, step=steps, width=widths)


def _notes(study: Study) -> dict[str, str]:
    network, last = study.config.network, study.config.descent.last
    return {
        "horizon": f"networks are trained for {network.num_steps} steps, the kernel for {last:g}"
    }


def _figures(study: Study) -> tuple[Figure, ...]:
    return small_multiples(
        "decomposition",
        slices(study.axes),
        lambda piece: _panels(study, piece),
        "Which error dominates when: root mean squares on fresh points against training time.",
    )


def _panels(study: Study, piece: Slice) -> list[Panel]:
    narrow, wide = widths_of(study.config)[0], widths_of(study.config)[-1]
    short = {"mismatch": "label mismatch", "stopping": "early stopping"}
    shown = {name: short.get(name, name) for name in PARTS}
    early = [Line("total", f"total, m = {wide}", {**piece.at, "width": wide})]
    early += [Line(f"early_{name}", text, piece.at) for name, text in shown.items()]
    early += [
        Line("coupling", f"coupling, m = {m}", {**piece.at, "width": m}) for m in (narrow, wide)
    ]
    late = [Line("risk", "total", piece.at)]
    late += [Line(name, text, piece.at) for name, text in shown.items()]
    totals = [Line("total", f"m = {m}", {**piece.at, "width": m}) for m in widths_of(study.config)]
    config = study.config.deep
    text = f"{config.depth} x {config.width}, {config.rule.capitalize()}"
    practice = [Line("deep", text, piece.at)]
    kernel = (Drawn("kernel descent", variable="early_risk", at=piece.at),)
    return [
        _panel("step", "Network", piece, early),
        _panel("time", "Kernel descent, to the end", piece, late),
        _panel("step", "Total error of networks", piece, totals + practice, kernel),
    ]


def _panel(
    x: str,
    title: str,
    piece: Slice,
    lines: list[Line],
    theory: tuple[Drawn, ...] = (),
) -> Panel:
    return Panel(
        "curves",
        x,
        tuple(lines),
        theory,
        title=f"{title}, {piece.label}".removesuffix(", "),
        ylabel="root mean square error",
        xscale="log",
        yscale="log",
    )
