"""Configuration of nearly linear-quadratic control: every field with its meaning and range."""

from dataclasses import dataclass

from fineq.errors import InputError
from fineq.settings.config import RunConfig, points_path, table_columns, table_header
from fineq.settings.fields import choice, count, group, number, numbers, text, words
from fineq.studies.nlqr import STUDIES


@dataclass
class SystemConfig:
    """The plant: random, from an npz file, or written out."""

    source: str = choice("random", "where A, B, C, Q, R come from", ("random", "file", "matrices"))
    path: str | None = text(None, "npz file with A, B, C and optionally Q, R (source=file)")
    n: int = count(3, "states (source=random)")
    p: int = count(3, "controls (source=random)")
    normalisation: str = choice(
        "joint",
        "random systems: A to spectral radius `radius`; each of A, B, C by its own spectral norm; "
        "all three by the spectral norm of [A B C]",
        ("radius", "own", "joint"),
    )
    radius: float = number(0.9, "spectral radius of A (normalisation=radius)", above=0.0)
    lipschitz: float = number(1.0, "Lipschitz constant ℓ of the kernel φ", minimum=0.0)
    keep: str = choice(
        "all",
        "studies of the paper's figures: all seeds, or those whose linear policy is stable at "
        "every swept value",
        ("all", "stable"),
    )
    A: list = numbers([], "rows of A (source=matrices)", depths=(2,))
    B: list = numbers([], "rows of B (source=matrices)", depths=(2,))
    C: list = numbers([], "rows of C (source=matrices)", depths=(2,))
    Q: list = numbers([], "rows of Q; empty for the identity (source=matrices)", depths=(2,))
    R: list = numbers([], "rows of R; empty for the identity (source=matrices)", depths=(2,))

    def check(self) -> None:
        """Source and what it needs agree."""
        if self.source == "file" and not self.path:
            raise InputError("system.path must name an npz file when system.source=file")


@dataclass
class KernelConfig:
    """The nonlinearity φ with φ(0) = 0."""

    name: str = choice("sin", "kernel φ", ("sin", "tanh", "products", "zero", "python"))
    degree: int = count(2, "factors N_i of each product (name=products)", minimum=2)
    target: str | None = text(
        None, "module:function, [n] -> [d] (name=python); files that it reads do not identify a run"
    )
    d: int | None = count(
        None, "number of features; null: n for sin and tanh, as returned by target"
    )

    def check(self) -> None:
        """A user's kernel needs its address."""
        if self.name == "python" and not self.target:
            raise InputError("kernel.target must be module:function when kernel.name=python")


@dataclass
class LawConfig:
    """The law of the initial state."""

    name: str = choice(
        "quadrature",
        "initial law: sampled sphere, Gaussian or ball, or weighted points (quadrature on the "
        "sphere, file) whose expectation is exact",
        ("sphere", "gaussian", "ball", "quadrature", "file"),
    )
    radius: float = number(3.0, "radius |x0|; standard deviation of the Gaussian", above=0.0)
    degree: int = count(7, "polynomial degree the quadrature integrates exactly")
    path: str | None = points_path("x0 [S, n]", "null: those of system.path")
    columns: list = table_columns()
    header: bool | None = table_header()


@dataclass
class EstimatorConfig:
    """How the policy gradient is obtained."""

    name: str = choice(
        "exact",
        "gradient: exact, or zeroth-order from one point (the paper), antithetic pairs, all "
        "coordinate directions, or with a baseline subtracted",
        ("exact", "one_point", "two_point", "coordinates", "baseline"),
    )
    num_rollouts: int = count(300, "rollouts J of one estimate", minimum=1)
    radius: float = number(0.6, "smoothing radius r", above=0.0)
    natural: str = choice("no", "multiply the gradient by Σ_ψψ^{-1}", ("no", "yes"))


@dataclass
class DescentConfig:
    """The iteration K ← K - η ĝ."""

    num_steps: int = count(200, "iterations")
    rule: str = choice(
        "fixed",
        "step: fixed η, η / h with h the smoothness at K*, Adam",
        ("fixed", "smoothness", "adam"),
    )
    step_size: float = number(1e-3, "η; with rule=smoothness a multiple of 1/h", above=0.0)
    horizon: int = count(10, "rollout length T", minimum=1)
    start: str = choice(
        "linear",
        "initial policy: K_lin of the true or of the identified system, random, zero",
        ("linear", "identified", "random", "zero"),
    )
    num_samples: int | None = count(
        None, "one-step samples N of an identified start; null: n + p + d + 16"
    )
    start_radius: float = number(1.0, "Frobenius norm of a random start", above=0.0)
    diverged_factor: float = number(
        10.0, "a member whose cost exceeds this multiple of its start's has diverged", above=1.0
    )
    others: list = words(
        ["natural", "two_point", "one_point"],
        "linear_convergence: gradients that descend beside the exact one",
        choices=("natural", "two_point", "one_point"),
    )


@dataclass
class ReferenceConfig:
    """The exact optimum and what is measured around it."""

    num_starts: int = count(8, "stabilising starts of Newton's method")
    start_radius: float = number(1.0, "largest distance of a start from K_lin", above=0.0)
    tail: float = number(1e-13, "relative truncation error of the infinite horizon", above=0.0)
    max_horizon: int = count(2048, "longest horizon tried", minimum=2)
    num_steps: int = count(50, "steps of the method at most")
    method: str = choice(
        "newton",
        "how K* is found: Newton's method; L-BFGS where p(n+d) is so large that a dense Hessian "
        "does not fit (raise num_steps to thousands)",
        ("newton", "lbfgs"),
    )


@dataclass
class FloorsConfig:
    """Zeroth-order descents to their floor: linear_convergence, sample_complexity."""

    num_steps: int = count(1000, "iterations")
    step_size: float = number(0.5, "η as a multiple of 1/h, antithetic pairs", above=0.0)
    one_point_step_size: float = number(0.01, "the same, one-point estimates", above=0.0)
    num_rollouts: list = numbers(
        [30, 300], "rollouts J of one estimate, even", minimum=2, whole=True
    )
    radii: list = numbers([0.05, 0.2, 0.6], "smoothing radii r", above=0.0)

    def check(self) -> None:
        """Lists that descents can use."""
        for name, values in (("num_rollouts", self.num_rollouts), ("radii", self.radii)):
            if not values:
                raise InputError(f"floors.{name} must be a non-empty list of numbers, got {values}")
        if any(value % 2 for value in self.num_rollouts):
            raise InputError(
                f"floors.num_rollouts must hold even integers, got {self.num_rollouts}"
            )


@dataclass
class ProbeConfig:
    """Where and how often sample_complexity looks at gradients."""

    distance: float = number(
        0.03, "distance |K - K_lin| of the policy at which gradients are measured", minimum=0.0
    )
    repeats: int = count(100, "independent estimates behind one noise level", minimum=2)


@dataclass
class RecoveryConfig:
    """Sizes and sample numbers of exact_recovery."""

    sizes: list = numbers(
        [[2, 1], [6, 4], [2, 6]],
        "pairs [n, p] of states and controls (system.source=random)",
        depths=(2,),
        whole=True,
        minimum=1,
    )
    below: int = count(3, "sample numbers start at n + p + d minus this", minimum=1)
    above: int = count(16, "and end at n + p + d plus this", minimum=1)

    def check(self) -> None:
        """Sizes are pairs, each given once."""
        if not self.sizes or len(self.sizes[0]) != 2:
            raise InputError(f"recovery.sizes must hold pairs [n, p], got {self.sizes}")
        if len({tuple(size) for size in self.sizes}) < len(self.sizes):
            raise InputError(f"recovery.sizes must hold distinct pairs, got {self.sizes}")


@dataclass
class LandscapeConfig:
    """How the study landscape searches balls around K_lin for bad curvature."""

    multiples: list = numbers(
        [0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0],
        "radii of the balls over |K* - K_lin|, increasing; 3 is the theorem's",
        minimum=0.0,
    )
    num_seeds: int = count(2, "seeds that are searched")
    num_values: int = count(4, "values of a swept ℓ that are searched")
    num_chains: int = count(1, "walks that seek small μ, and as many that seek large h")
    num_looks: int = count(2, "looks of a walk at each radius")

    def check(self) -> None:
        """Radii increase, so that balls hold those before them."""
        pairs = zip(self.multiples, self.multiples[1:])
        if not self.multiples or any(b <= a for a, b in pairs):
            raise InputError(f"landscape.multiples must increase, got {self.multiples}")


@dataclass
class NlqrConfig(RunConfig):
    """Nearly linear-quadratic control (arXiv 2303.08431)."""

    study: str = choice("linear_convergence", "name of the study", tuple(STUDIES))
    setting: str = text("clear", "label of the constants in use: printed or clear")
    system: SystemConfig = group(SystemConfig, "the plant")
    kernel: KernelConfig = group(KernelConfig, "the nonlinearity φ")
    law: LawConfig = group(LawConfig, "the initial law")
    estimator: EstimatorConfig = group(EstimatorConfig, "the gradient")
    descent: DescentConfig = group(DescentConfig, "the iteration")
    floors: FloorsConfig = group(FloorsConfig, "zeroth-order descents to their floor")
    probe: ProbeConfig = group(ProbeConfig, "where gradients are measured")
    recovery: RecoveryConfig = group(RecoveryConfig, "one-step samples and what they recover")
    landscape: LandscapeConfig = group(LandscapeConfig, "search for bad curvature")
    reference: ReferenceConfig = group(ReferenceConfig, "the exact optimum")
