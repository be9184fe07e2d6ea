"""The standard problems of stochastic control: error against the exact and the usual optimum.

Two parametrisations are fitted sweep by sweep to the Ornstein-Uhlenbeck problems: affine costates
by least squares, whose class holds the optimum, and a network by AdamW, in float32. The double well
gets functions of one coordinate each. Controls are compared on paths of the exact optimum of
the discrete problem: with it, and with the optimum that the literature compares with, an Euler
solution of the Riccati equation, the price carried by a matrix exponential, or the logarithm of an
expectation along the uncontrolled chain, none of them optimal at finite steps.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import jax
import numpy as np

from fineq import figures
from fineq.claims import Theory, counting
from fineq.errors import InputError
from fineq.rates import mean_interval
from fineq.results import status_of
from fineq.studies import statistics
from fineq.studies.common import seed_axis
from fineq.studies.pift import benchmark_fits, standard_cases
from fineq.studies.pift.common import NAMES
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

ID = "pift/standard-problems"
GOALS = (1e-2, 1e-3)
TEXTS = (
    "control L2 error to the exact optimum",
    "control L2 error to the usual optimum",
    "mean return",
)
ABOUT: dict[str, str] = dict(zip(benchmark_fits.METRICS, TEXTS, strict=True))
ERRORS = benchmark_fits.METRICS[:2]
# What the quantities of a fit begin with, and the dimension of its sweeps.
AFFINE, NETWORK, OF_WELL = "", "network_", "well_"
SWEEPS = {AFFINE: "sweep", NETWORK: "network_sweep", OF_WELL: "well_sweep"}


def bind(config: PiftConfig, given: Given, stages: Stages) -> benchmark_fits.Study:
    """A study along the problems that affine controls solve.

    Raises:
        InputError: for nothing but the double well.
    """
    names = [name for name in config.benchmark.problems if name != standard_cases.WELL]
    if not names:
        raise InputError("benchmark.problems must hold another one beside double_well")
    own = (Axis("problem", names, static=True),)
    # A problem is a name: no member has an instance that is drawn.
    return benchmark_fits.Study(
        config, given, stages, lambda member: member, [seed_axis(config)], own
    )


def measure(study: benchmark_fits.Study) -> Found:
    """Fit every problem from the pre-trained policy, u = 0."""
    config, names = study.config, study.own[0].values
    cases = {name: standard_cases.make_case(config, name) for name in names}
    fits = {
        AFFINE: benchmark_fits.fit_affine(study, cases),
        NETWORK: benchmark_fits.fit_networks(study, cases),
    }
    about = list(cases.values())
    notes = {
        "parametrisation": "affine controls need few sweeps because their class holds the optimum "
        "of the Ornstein-Uhlenbeck problems: beside networks they compare parametrisations, not "
        "algorithms",
        "time": _times(fits[NETWORK], study.stages),
    }
    if standard_cases.WELL in config.benchmark.problems:
        cases[standard_cases.WELL] = standard_cases.make_case(config, standard_cases.WELL)
        fits[OF_WELL] = benchmark_fits.fit_well(study, cases[standard_cases.WELL])
        notes["double well"] = (
            "the control of each coordinate is a function of it alone, as the exact one is: "
            "known structure, which networks of all coordinates do not have"
        )
    values = {
        f"{prefix}{name}": x for prefix, fit in fits.items() for name, x in fit.metrics.items()
    }
    values |= {
        "gap": np.array([case.gap.mean() for case in about]),
        "size": np.array([case.size for case in about]),
    }
    return Found(
        values,
        study.own,
        {SWEEPS[prefix]: fit.iterations for prefix, fit in fits.items()},
        notes=notes,
        status=status_of(np.concatenate([fit.diverged.ravel() for fit in fits.values()])),
        more=cases,
    )


def _times(trained: benchmark_fits.Fitted, stages: Stages) -> str:
    """Seconds of the networks in this process, compilation apart."""
    each = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in trained.seconds.items())
    compiled = sum(c.compile_seconds for name, c in stages.costs.items() if "network" in name)
    return f"a sweep of one network: {each}; compiled in {compiled:.0f} s"


def _case(view: View) -> standard_cases.Case:
    """The problem of a view; where none is chosen, the double well."""
    return view.found.more[view.at.get("problem", standard_cases.WELL)]


def _has_well(view: View) -> bool:
    return standard_cases.WELL in view.found.more


def _net(view: View) -> str:
    b = view.study.config.benchmark
    return f"a network, {b.depth} layers of {b.width}"


def _title(view: View) -> str:
    return _case(view).standard.name


def _steps(view: View) -> str:
    return f"{_title(view)}, {_case(view).standard.problem.num_steps} steps"


def _sweeps(view: View, prefix: str) -> int:
    return len(view.values_of(SWEEPS[prefix])) - 1


def _usual(view: View) -> statistics.Got:
    """The error of the usual optimum itself, with the interval of a mean over paths."""
    gap = np.asarray(_case(view).gap)
    return statistics.Got(mean_interval(gap), said=f"{gap.size} paths")


def _size(view: View) -> str:
    return f"{_case(view).size:.3g}"


def _ratio(view: View) -> float:
    case = _case(view)
    found = jax.jit(standard_cases.separate_ratio)(
        case.standard.problem, case.optimum, case.exact.states
    )
    return float(found)


def _passes(view: View) -> Theory:
    """A class that holds the optimum should pass the usual one."""
    return Theory(float(_case(view).gap.mean()), "<=", "the error of the usual optimum")


def _error(name: str, prefix: str) -> Callable[[View], str]:
    return lambda view: f"{ABOUT[name]} after {_sweeps(view, prefix)} sweeps"


def _goal(prefix: str, where: Callable[[View], str], goal: float) -> Row:
    """Sweeps to a goal, where all seeds reach it."""

    def below(view: View) -> np.ndarray:
        return view(f"{prefix}to_exact") <= goal

    def first(view: View) -> statistics.Got:
        said = counting.lost_words(view(f"{prefix}to_exact"))
        return statistics.Got(counting.over_seeds(np.argmax(below(view), axis=1)), said=said)

    return Row(
        *(ID, f"sweeps to a control L2 error of {goal:g}", first),
        each=("problem",),
        where=where,
        when=lambda view: bool(below(view).any(axis=1).all()),
    )


def _affine(view: View) -> str:
    return f"{_title(view)}, affine controls"


def _network(view: View) -> str:
    return f"{_title(view)}, {_net(view)}"


def _panel(view: View, prefix: str) -> figures.Panel:
    """Errors to both optima along the sweeps."""
    return figures.Panel(
        "convergence",
        SWEEPS[prefix],
        tuple(view.line(f"{prefix}{name}", f"to the {name[3:]} one") for name in ERRORS),
        (figures.Theory("distance of the two", level=float(_case(view).gap.mean())),),
        title=_title(view),
        xlabel="sweep",
        ylabel="control L2 error to the optimum",
    )


def _each(view: View, prefix: str) -> list[figures.Panel]:
    problems = view.values_of("problem").tolist()
    return [_panel(view.chosen(problem=name), prefix) for name in problems]


def _networks(views: Sequence[View]) -> Iterable[figures.Figure]:
    view = views[0]
    yield figures.Figure(
        "benchmark_network", tuple(_each(view, NETWORK)), f"The same with {_net(view)}."
    )


def _over_sweeps(prefix: str, names: Sequence[str], own: tuple[str, ...] | None) -> list[Quantity]:
    return [Quantity(f"{prefix}{name}", ABOUT[name], (SWEEPS[prefix],), own) for name in names]


USUAL = partial(
    Row,
    ID,
    lambda view: f"error of the usual optimum, of ∫|u*|² = {_size(view)}",
    _usual,
    where=_steps,
)
run = Recipe(
    bind=bind,
    measure=measure,
    names=NAMES,
    quantities=(
        *_over_sweeps(AFFINE, benchmark_fits.METRICS, None),
        *_over_sweeps(NETWORK, benchmark_fits.METRICS, None),
        Quantity("gap", "error of the usual optimum", seeds=False),
        Quantity("size", "error of changing nothing", seeds=False),
        *_over_sweeps(OF_WELL, ERRORS, ()),
    ),
    claims=(
        USUAL(each=("problem",)),
        Row(
            *(ID, _error("to_exact", AFFINE)),
            statistics.Last("to_exact", longer="more of benchmark.num_sweeps"),
            _passes,
            each=("problem",),
            where=_affine,
        ),
        *(_goal(AFFINE, _affine, goal) for goal in GOALS),
        *(
            Row(
                *(ID, _error(name, NETWORK), statistics.Last(f"{NETWORK}{name}")),
                each=("problem",),
                where=_network,
            )
            for name in ERRORS
        ),
        *(_goal(NETWORK, _network, goal) for goal in GOALS),
        USUAL(when=_has_well),
        Row(
            *(
                ID,
                "max_t ρ_t at the exact optimum, on its paths",
                statistics.Exact(_ratio, said=""),
            ),
            Theory(1.0, "<=", "PI-FT contracts"),
            where=_steps,
            sampled=True,
            when=_has_well,
        ),
        *(
            Row(
                ID,
                lambda view, name=name: f"{_error(name, OF_WELL)(view)}, of {_size(view)}",
                statistics.Last(f"{OF_WELL}{name}"),
                where=lambda view: f"{_title(view)}, functions of one coordinate each",
                when=_has_well,
            )
            for name in ERRORS
        ),
    ),
    figures=(
        Draw(
            "benchmark_affine",
            lambda view: _each(view, AFFINE),
            "Error of fitted affine controls to the exact optimum of the discrete problem, and to "
            "the usual one.",
        ),
        _networks,
        Draw(
            "benchmark_well",
            lambda view: [_panel(view, OF_WELL)] if _has_well(view) else [],
            "Error of functions of one coordinate each on the double well.",
        ),
    ),
)
