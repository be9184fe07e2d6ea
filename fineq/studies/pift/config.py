"""Configuration of fine-tuning as stochastic control: every field with its meaning and range."""

from dataclasses import dataclass

import numpy as np

from fineq.errors import InputError
from fineq.settings.config import RunConfig, points_path, table_columns, table_header
from fineq.settings.fields import choice, count, flag, group, number, numbers, text, words
from fineq.studies.pift import STUDIES


@dataclass
class ScheduleConfig:
    """The noise of the pre-trained chain."""

    name: str = choice(
        "linear_rate",
        "ᾱ: exp(-∫g) with g linear from `first` to `last` over unit time; b_k linear from `first` "
        "to `last`; cosine; equal α with ᾱ_T = `end`; the list `alphas`",
        ("linear_rate", "linear", "cosine", "constant_rate", "list"),
    )
    num_steps: int = count(20, "steps T of the chain")
    first: float = number(0.1, "first rate or variance (linear_rate, linear)", above=0.0)
    last: float = number(20.0, "last rate or variance (linear_rate, linear)", above=0.0)
    end: float = number(0.01, "ᾱ_T (constant_rate)", above=0.0, below=1.0)
    alphas: list = numbers([], "α_1..α_T, from data to noise (list)", above=0.0, below=1.0)
    variance: str = choice(
        "posterior",
        "σ²: that of the posterior, b_k (1 - ᾱ_{k-1})/(1 - ᾱ_k), floored at the last step; or b_k",
        ("posterior", "forward"),
    )
    floor: float | None = number(
        None, "σ² of the last step under posterior; null: that of the step before", above=0.0
    )

    def check(self) -> None:
        """A list needs its entries; variances of a linear schedule stay below 1."""
        if self.name == "list" and not self.alphas:
            raise InputError("schedule.alphas must hold α_1..α_T when schedule.name=list")
        if self.name == "linear" and max(self.first, self.last) >= 1:
            raise InputError(
                "schedule.first and schedule.last must be below 1 when schedule.name=linear, got "
                f"{self.first:g} and {self.last:g}"
            )


@dataclass
class DataConfig:
    """The data law that the pre-trained model has learned exactly."""

    name: str = choice(
        "gaussian",
        "law of the data: Gaussian, Gaussian mixture, points from a file",
        ("gaussian", "mixture", "points"),
    )
    d: int = count(4, "dimension, where the law is drawn")
    least: float = number(0.3, "least eigenvalue of drawn covariances", above=0.0)
    largest: float = number(1.5, "largest eigenvalue of drawn covariances", above=0.0)
    spread: float = number(1.0, "standard deviation of drawn means", minimum=0.0)
    num_components: int = count(2, "components of a drawn mixture")
    weights: list = numbers([], "weights of a mixture; empty: drawn mixtures have equal ones")
    means: list = numbers(
        [], "rows: means of a mixture, or one of a Gaussian; empty: drawn", depths=(2,)
    )
    covariances: list = numbers(
        [], "matrices: covariances, one per mean; empty: drawn", depths=(1, 3)
    )
    path: str | None = points_path("x [S, d]", "points")
    columns: list = table_columns()
    header: bool | None = table_header()

    def check(self) -> None:
        """What is given is given whole."""
        if bool(self.means) != bool(self.covariances):
            raise InputError("data.means and data.covariances must be given together")
        if self.name == "points" and not self.path:
            raise InputError("data.path must name a file of points when data.name=points")
        if self.least > self.largest:
            raise InputError(
                f"data.least must be at most data.largest, got {self.least:g} and {self.largest:g}"
            )


@dataclass
class RewardConfig:
    """The terminal reward."""

    name: str = choice(
        "quadratic",
        "reward: linear, quadratic, a bounded wave, log-ratio of reweighted mixture to data, "
        "a function of yours",
        ("linear", "quadratic", "wave", "log_ratio", "python"),
    )
    scale: float = number(1.0, "factor of the reward", minimum=0.0)
    curvature: str = choice(
        "concave", "sign of a drawn quadratic's curvature", ("concave", "convex", "mixed")
    )
    matrix: list = numbers(
        [], "rows of P in ½(y-c)'P(y-c), symmetric; empty: drawn (quadratic)", depths=(2,)
    )
    center: list = numbers([], "c (quadratic); empty: drawn")
    direction: list = numbers([], "w (linear, wave); empty: drawn (linear), first axis (wave)")
    shift: float = number(0.5, "position of the wave along w")
    ripple: float = number(0.3, "height of the wave's ripple", minimum=0.0)
    weights: list = numbers([], "weights of the components that are wanted (log_ratio)", above=0.0)
    target: str | None = text(
        None, "module:function, [d] -> scalar (python); files that it reads do not identify a run"
    )

    def check(self) -> None:
        """A user's reward needs its address, a log-ratio its weights."""
        if self.name == "python" and not self.target:
            raise InputError("reward.target must be module:function when reward.name=python")
        if self.name == "log_ratio" and not self.weights:
            raise InputError("reward.weights must be given when reward.name=log_ratio")


@dataclass
class InnerConfig:
    """The iteration."""

    num_inner: int = count(20, "inner iterations m_t at each step of the chain")
    num_sweeps: int = count(30, "sweeps of whole-trajectory policy iteration")
    rule: str = choice(
        "plain",
        "inner step: the paper's; the fraction 1/(1+ρ) of it; Newton's",
        ("plain", "damped", "newton"),
    )


@dataclass
class ThresholdConfig:
    """Where threshold looks."""

    multiples: list = numbers(
        [0.25, 0.5, 0.75, 0.9, 0.97, 1.03, 1.1, 1.5, 2.0],
        "values of β at which the rules are run, over the smallest contracting one",
        above=0.0,
    )

    def check(self) -> None:
        """The threshold itself decides nothing."""
        if not self.multiples or 1.0 in self.multiples:
            raise InputError(
                f"threshold.multiples must hold numbers other than 1, got {self.multiples}"
            )


@dataclass
class PictureConfig:
    """The mixture in the plane that beta draws."""

    betas: list = numbers([2.0, 0.5, 0.1], "prices at which it is drawn; empty: none", above=0.0)
    num_points: int = count(96, "points of the grid along each axis", minimum=16)


def _check_rising(fields: dict[str, list]) -> None:
    for name, values in fields.items():
        if len(values) < 2 or values != sorted(set(values)):
            raise InputError(f"{name} must hold rising values, at least two: {values}")


@dataclass
class ContinuousConfig:
    """What continuous_limit looks at."""

    num_steps: list = numbers(
        [25, 50, 100, 200, 400, 800], "numbers of steps T, rising", minimum=1, whole=True
    )
    num_times: list = numbers(
        [50, 100, 200],
        "time steps of the Bellman equation's grids, rising, even",
        minimum=2,
        whole=True,
    )
    num_iterations: int = count(6, "policy iterations shown")

    def check(self) -> None:
        """Orders need increasing values."""
        _check_rising(
            {"continuous.num_steps": self.num_steps, "continuous.num_times": self.num_times}
        )
        if any(value % 2 for value in self.num_times):
            raise InputError(f"continuous.num_times must be even, got {self.num_times}")


@dataclass
class TerminalConfig:
    """What terminal_law looks at."""

    num_steps: list = numbers(
        [25, 50, 100, 200, 400, 800], "numbers of steps T, rising", minimum=1, whole=True
    )
    ends: list = numbers(
        [1e-4, 1e-3, 1e-2, 1e-1], "noise levels ᾱ of Y_0, continuous time", above=0.0, below=1.0
    )
    num_points: int = count(801, "points of the grid, for data on a line", minimum=8)

    def check(self) -> None:
        """Orders need increasing values."""
        _check_rising({"terminal.num_steps": self.num_steps, "terminal.ends": self.ends})


@dataclass
class RegularityConfig:
    """The grid of regularity, and where it looks for thresholds."""

    num_points: int = count(481, "points of the grid along each axis", minimum=8)
    outside: float = number(
        1e-12, "probability that a component of some Y_t leaves the grid", above=0.0, below=1.0
    )
    thresholds: bool = flag(True, "whether to look for the smallest β of each condition")
    lowest: float = number(0.1, "β at which to begin", above=0.0)
    highest: float = number(10.0, "β at which to end", above=0.0)
    precision: float = number(0.01, "relative width of a threshold", above=0.0)
    trials: int = count(60, "inner iterations that decide whether plain PI-FT converges", minimum=8)

    def check(self) -> None:
        """A range has two ends."""
        if self.lowest >= self.highest:
            raise InputError(
                "regularity.lowest must be below regularity.highest, got "
                f"{self.lowest:g} and {self.highest:g}"
            )


@dataclass
class ParametricConfig:
    """Parametrised controls, simulated paths and training."""

    num_paths: int = count(256, "simulated paths N of each sweep")
    target: str = choice(
        "quiet",
        "what is regressed on: the gradient of the path's return; less noise of mean zero (quiet, "
        "landing); along the pre-trained chain, whatever the policy's slope (lean)",
        ("raw", "quiet", "landing", "lean"),
    )
    share: float = number(
        1.0, "share of the way to the fit that a sweep goes", above=0.0, maximum=1.0
    )
    num_sweeps: int = count(12, "sweeps with linear features")
    classes: list = words(
        ["affine", "cubic", "fourier", "radial"],
        "linear features: polynomials of degree 1 or 3; an affine part with random Fourier "
        "features, or with Gaussian radial functions",
        choices=("affine", "cubic", "fourier", "radial"),
    )
    num_features: int = count(8, "waves (fourier), radial functions (radial)")
    width: int = count(32, "units of each hidden layer")
    depth: int = count(2, "hidden layers")
    network_sweeps: int = count(60, "sweeps with a network")
    learning_rate: float = number(0.01, "of AdamW, at the start", above=0.0)
    num_batches: int = count(8, "steps of AdamW in each pass over a sweep's pairs (t, Y_t)")
    num_passes: int = count(2, "passes over the pairs of a sweep")
    ascent: bool = flag(
        True, "whether to train the network by stochastic gradient ascent on J as well"
    )
    batches: list = numbers([64, 1024], "paths N for the statistical error", minimum=1, whole=True)
    num_reference: int = count(1000, "paths of the optimum on which controls are compared")
    certificate_paths: int = count(
        16384, "paths behind each side of the bound on J, rounded up to 16s", minimum=32
    )


STANDARD = (
    "ou_quadratic_easy",
    "ou_quadratic_easy_20",
    "ou_quadratic_hard",
    "ou_linear",
    "double_well",
)


@dataclass
class BenchmarkConfig:
    """The standard problems of stochastic control."""

    problems: list = words(
        list(STANDARD),
        "Ornstein-Uhlenbeck problems with quadratic costs, easy (d = 2, d = 20) or hard, or with a "
        "linear cost (d = 10); a double well (d = 10)",
        choices=STANDARD,
    )
    num_paths: int = count(128, "simulated paths N of each sweep")
    num_sweeps: int = count(8, "sweeps with affine controls")
    network_sweeps: int = count(30, "sweeps with a network")
    width: int = count(256, "units of each hidden layer")
    depth: int = count(3, "hidden layers")
    learning_rate: float = number(3e-3, "of AdamW, at the start", above=0.0)
    num_batches: int = count(10, "steps of AdamW in each sweep")
    well_points: int = count(401, "points of the lines on which the double well is solved exactly")
    well_paths: int = count(1024, "simulated paths N of each sweep of the double well")
    well_sweeps: int = count(30, "sweeps of the double well")

    def check(self) -> None:
        """Every problem once."""
        if not self.problems or len(set(self.problems)) < len(self.problems):
            raise InputError(f"benchmark.problems must be distinct, got {self.problems}")


@dataclass
class PiftConfig(RunConfig):
    """Fine-tuning as stochastic control (arXiv 2412.18164)."""

    study: str = choice("linear_convergence", "name of the study", tuple(STUDIES))
    beta: float = number(2.0, "price β of a unit of divergence", above=0.0)
    betas: list = numbers([], "β_t, one per step of the chain, in place of beta", above=0.0)
    schedule: ScheduleConfig = group(ScheduleConfig, "the noise of the pre-trained chain")
    data: DataConfig = group(DataConfig, "the data law")
    reward: RewardConfig = group(RewardConfig, "the terminal reward")
    continuous: ContinuousConfig = group(ContinuousConfig, "what continuous_limit looks at")
    inner: InnerConfig = group(InnerConfig, "the iteration")
    picture: PictureConfig = group(PictureConfig, "a mixture in the plane")
    threshold: ThresholdConfig = group(ThresholdConfig, "values of β around the threshold")
    regularity: RegularityConfig = group(RegularityConfig, "grid and range of regularity")
    terminal: TerminalConfig = group(TerminalConfig, "what terminal_law looks at")
    parametric: ParametricConfig = group(ParametricConfig, "parametrised controls")
    benchmark: BenchmarkConfig = group(BenchmarkConfig, "standard problems")

    def check(self) -> None:
        """One β per step; threshold has a problem that it solves."""
        num_steps = len(self.schedule.alphas) or self.schedule.num_steps
        if self.betas and len(self.betas) != num_steps:
            raise InputError(
                f"betas must hold one β per step of the chain, {num_steps}, got {len(self.betas)}"
            )
        if self.study == "threshold":
            self._check_threshold()

    def _check_threshold(self) -> None:
        if self.betas:
            raise InputError("study=threshold finds β itself: drop betas")
        if self.reward.name != "quadratic" or self.data.name != "gaussian":
            raise InputError(
                "study=threshold needs data.name=gaussian and reward.name=quadratic, got "
                f"data.name={self.data.name} and reward.name={self.reward.name}"
            )
        P = np.asarray(self.reward.matrix or [[1.0]], float)
        if P.shape[0] == P.shape[1] and np.linalg.eigvalsh(P / 2 + P.T / 2)[0] < 0:
            raise InputError(
                "study=threshold takes a convex reward and turns it around: reward.matrix must be "
                "positive semidefinite"
            )
