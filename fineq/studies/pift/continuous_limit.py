"""From steps to the continuous-time problem, and policy iteration there (`pift/continuous-time`).

Gaussian data and a linear or quadratic reward: the optimum of a chain of T steps beside the closed
form of its limit, V_t(y) = β log E[e^{r/β} | Y_t = y] and u* = s + ∇V/β, for both variances, and
beside the certificate (`pift/certificate`). The posterior variance falls short of b_k near the data
by a factor that does not tend to 1, and so does the control there.

A mixture on a line with a reward that has no closed form: the Bellman equation by policy iteration
on grids that are refined in space and time at once, against Hopf-Cole by quadrature.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory
from fineq.ddpm import laws
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.pift import continuous, hjb
from fineq.pift.rewards import Quadratic, Wave
from fineq.rates import power_law
from fineq.rates.order import convergence_orders
from fineq.studies import statistics
from fineq.studies.common import first_alone
from fineq.studies.pift import common
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.drawn import VARIANCES, VARYING, Problems, draw, over_steps, refuse_lost
from fineq.studies.pift.instances import Given
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

# The line: two modes, a start far enough in the noise, and points where both laws have mass.
MODES, DEVIATION, END, HALF_WIDTH, SEEN = 1.5, 0.5, float(np.exp(-4.0)), 8.0, 3.0
POINTS_PER_STEP = 4  # so that space and time errors are of one size
EXTRA = 3  # iterations beyond those shown, to their limit
MARGIN = 0.1  # on an exponent seen over a finite range
NEWTON = 0.25  # on the order of the last step of policy iteration above rounding
ROUNDING = 1e-10  # policy iteration is at its limit
LEAST = 3  # points of a fitted order
CHAINS = (
    Quantity("value", "root mean square of V_0 − limit", ("num_steps",), (VARYING.name,)),
    Quantity("control", "root mean square of u* − limit", ("num_steps",), (VARYING.name,)),
    Quantity("shortfall", "root mean square of (σ²/b − 1) ∇V/β", ("num_steps",), (VARYING.name,)),
    Quantity("gap", "certificate of the chain less J*", ("num_steps",), (VARYING.name,)),
)
GRIDS = (
    Quantity("grid_value", "largest |V_0 − exact|", (), ("num_times",), seeds=False),
    Quantity("grid_control", "largest |u − exact| half-way", (), ("num_times",), seeds=False),
)
ABOUT = {quantity.name: quantity.text for quantity in (*CHAINS, *GRIDS)}
LABELS = {
    "value": r"root mean square of $V_0$ − limit",
    "control": r"root mean square of $u^*$ − limit",
    "gap": r"certificate of the chain less $J^*$",
}
ORDERS = {name: statistics.Exponent(name, "num_steps", MARGIN, "larger T") for name in ABOUT}
REFINED = {
    quantity.name: statistics.Exponent(
        quantity.name, "num_times", MARGIN, "larger continuous.num_times"
    )
    for quantity in GRIDS
}


def bind(config: PiftConfig, given: Given, stages: Stages) -> common.Study:
    """Gaussian data and a linear or quadratic reward, at one price."""
    study = common.make_study(config, given, stages)
    if config.betas:
        raise InputError("continuous_limit needs one beta, not betas")
    first = study.instance({"seed": config.first_seed})
    if not (isinstance(first.law, laws.Gaussian) and isinstance(first.problem.reward, Quadratic)):
        raise InputError(
            "continuous_limit needs data.name=gaussian and a linear or quadratic reward, got "
            f"data.name={config.data.name}, reward.name={config.reward.name}"
        )
    grids = Axis("num_times", config.continuous.num_times, static=True)
    return study._replace(own=(VARYING, grids))


def measure(study: common.Study) -> Found:
    """Chains against their limit; then policy iteration in continuous time."""
    steps = study.config.continuous.num_steps

    def one(drawn: Problems, schedule: Schedule) -> continuous.Apart:
        law = drawn.law
        assert isinstance(law, laws.Gaussian)
        return continuous.apart(drawn.problem(schedule), law, schedule)

    found = over_steps(study, draw(study), steps, one)._asdict()
    values = {name: np.moveaxis(np.asarray(x), -1, 0) for name, x in found.items()}
    refuse_lost(study, values["value"])
    refined = _refined(study)
    iterations = np.arange(refined["grid_iterates"].shape[-1])
    return Found({**values, **refined}, study.own, {"num_steps": steps, "iteration": iterations})


def line() -> tuple[laws.Mixture, Wave]:
    """The mixture and the reward on a line."""
    law = laws.mixture(
        np.full(2, 0.5), np.array([[-MODES], [MODES]]), np.full((2, 1, 1), DEVIATION**2)
    )
    return law, Wave(jnp.ones(1), jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.3))


def _refined(study: common.Study) -> dict[str, np.ndarray]:
    """Policy iteration on each grid against quadrature, at every swept value."""
    config, (law, reward) = study.config, line()
    count = config.continuous.num_iterations

    def at(member: Member) -> dict[str, Array]:
        N, beta = int(member["num_times"]), jnp.asarray(member.get("beta", config.beta))
        domain = hjb.make_domain(law, END, N, POINTS_PER_STEP * N + 1, HALF_WIDTH)
        found = hjb.policy_iteration(hjb.bellman_equation(domain, reward, beta), count + EXTRA)
        seen, half = jnp.abs(domain.points) <= SEEN, N // 2

        def most(x: Array) -> Array:
            return jnp.max(jnp.where(seen, jnp.abs(x), 0.0), axis=-1)

        bars = jnp.exp(domain.times - domain.times[-1])
        value = continuous.quadrature(law, reward, beta, bars[0], domain.points)[0]
        control = continuous.quadrature(law, reward, beta, bars[half], domain.points)[1]
        return {
            "grid_value": most(found.values[-1, 0] - value),
            "grid_control": most(found.controls[-1, half] - control),
            "grid_iterates": jnp.max(most(found.values[:count] - found.values[-1:]), axis=-1),
        }

    # Nothing is random: one seed is there because every sweep has some.
    *swept, _ = study.axes
    axes = [study.own[1], *swept, Axis("seed", [config.first_seed])]
    found = study.stages.measure("grids", at, axes)
    return {name: np.take(np.asarray(x), 0, len(axes) - 1) for name, x in found.items()}


def _enough(view: View) -> bool:
    return len(view.values_of("num_steps")) >= LEAST


def _over_shortfall(view: View) -> np.ndarray:
    at = view.chosen(variance="posterior")
    return at("control")[:, -1] / at("shortfall")[:, -1]


def _slow(view: View) -> Theory:
    T = np.asarray(view.values_of("num_steps"), float)
    slope = power_law(T, np.log(T) / T).slope
    return Theory(slope, "<=", "log T/T over the same T", margin=MARGIN)


def _near(view: View) -> Theory:
    near = ORDERS["shortfall"].law(view).slope
    return Theory(near, "~", "(σ²/b - 1) ∇V/β over the same T", margin=MARGIN)


FIRST = Theory(-1.0, "~", "1/T", margin=MARGIN)
POSTERIOR = {"value": _slow, "control": _near}


def _order(name: str) -> Row:
    def theory(view: View) -> Theory:
        return FIRST if view.at["variance"] == "forward" else POSTERIOR[name](view)

    what = f"exponent in T of the {ABOUT[name]}, {{variance}}"
    id = "pift/continuous-time"
    return Row(id, what, ORDERS[name], theory, each=("variance",), when=_enough)


def _forward(name: str) -> Callable[[View], statistics.Got]:
    return lambda view: ORDERS[name](view.chosen(variance="forward"))


def _on_line(view: View) -> str:
    swept = "beta" in view.piece.at
    beta = "" if swept else f"β = {view.study.config.beta:g}, "
    return f"mixture on a line, {beta}{view.values_of('num_times')[-1]:g} steps"


def _refinement(name: str) -> statistics.Exact:
    return statistics.Exact(lambda view: REFINED[name].law(view).local_slopes[-1], said="")


def _newton(view: View) -> float:
    """The order of the finest grid's iteration."""
    return convergence_orders(view("grid_iterates"), ROUNDING)[-1]


def _unresolved(view: View) -> str:
    if np.isfinite(_newton(view)):
        return ""
    return (
        "fewer than three errors lie above rounding: more of continuous.num_iterations or a "
        "smaller beta decide"
    )


def _against(view: View, name: str, title: str) -> figures.Panel:
    words = common.NAMES.values["variance"]
    return view.panel(
        "powerlaw",
        "num_steps",
        [view.line(name, words[k], fit=ORDERS[name], variance=k) for k in VARIANCES],
        figures.Theory(r"slope of $T^{-1}$", exponent=-1.0, line=0),
        title=title,
        ylabel=LABELS[name],
    )


def _bellman(views: Sequence[View]) -> list[figures.Figure]:
    """Policy iteration on grids, at the first swept values."""
    first = views[0]
    grids = first.values_of("num_times").tolist()
    iterations = figures.Panel(
        "convergence",
        "iteration",
        tuple(first.line("grid_iterates", f"{n:g} steps", num_times=n) for n in grids),
        over=(),
        title="Policy iteration, continuous time",
        xlabel="iteration",
        ylabel="largest |V − limit on the grid|",
        ordered=True,
    )
    lines: tuple[figures.Line, ...] = tuple(
        first.line(f"grid_{name}", name, fit=REFINED[f"grid_{name}"])
        for name in ("value", "control")
    )
    refinement = figures.Panel(
        "powerlaw",
        "num_times",
        lines,
        (figures.Theory("slope of second order", exponent=-2.0, line=0),),
        over=(),
        title="Refining space and time",
        xlabel="time steps",
        ylabel="largest error against quadrature",
    )
    caption = "The Bellman equation of a mixture on a line, against Hopf-Cole."
    note = first_alone([view.piece for view in views])
    shown = ("pift/continuous-time",)
    return [figures.Figure("bellman", (iterations, refinement), caption, note, shown)]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    quantities=(
        *CHAINS,
        *GRIDS,
        Quantity(
            "grid_iterates",
            "largest |V − limit| of policy iteration",
            ("iteration",),
            ("num_times",),
            seeds=False,
        ),
    ),
    claims=(
        Row(
            "pift/continuous-time",
            f"{ABOUT['control']} over what its variance explains, posterior variance",
            statistics.Median(_over_shortfall),
            Theory(1.0, "~", "|(σ²/b - 1) ∇V/β|", margin=MARGIN),
            where=lambda view: f"T = {view.values_of('num_steps')[-1]:g}",
            when=_enough,
        ),
        _order("value"),
        _order("control"),
        Row(
            "pift/certificate",
            "certificate less J of the optimum, least",
            statistics.Exact(lambda view: view("gap").min()),
            Theory(0.0, ">=", "J <= E[β log E[e^{r/β} | Y_0]]"),
            where="all T, both variances",
            when=_enough,
        ),
        Row(
            "pift/certificate",
            f"exponent in T of the {ABOUT['gap']}, σ² = b",
            _forward("gap"),
            FIRST,
            when=_enough,
        ),
        *(
            Row(
                "pift/continuous-time",
                f"exponent of {ABOUT[name]}, space and time refined together",
                _refinement(name),
                Theory(-2.0, "~", "second-order scheme", margin=MARGIN),
                where=_on_line,
            )
            for name in REFINED
        ),
        Row(
            "pift/continuous-time",
            "order of convergence of policy iteration in continuous time",
            statistics.Exact(_newton, said=""),
            Theory(2.0, "~", "policy iteration is Newton's method", margin=NEWTON),
            where=_on_line,
            premature=_unresolved,
        ),
    ),
    figures=(
        Draw(
            "continuous_limit",
            lambda view: [
                _against(view, "value", "Value at the start"),
                _against(view, "control", "Control"),
            ],
            "Optimal chains of T steps against their limit in continuous time.",
            claims=("pift/continuous-time",),
        ),
        Draw(
            "certificate",
            lambda view: [_against(view, "gap", "Certificate less $J^*$")],
            "What the certificate leaves open at the optimum.",
            claims=("pift/certificate",),
        ),
        _bellman,
    ),
)
