"""Configuration of score learning with wide networks: every field with its meaning and range."""

from dataclasses import dataclass

from fineq.errors import InputError
from fineq.settings.config import RunConfig, points_path, table_columns, table_header
from fineq.settings.fields import choice, count, flag, group, number, numbers
from fineq.studies.ntk import STUDIES

_DRAWN = ("d", "num_components", "size", "draw")
# Laws of X_0, and the fields that each of them takes.
TARGETS: dict[str, tuple[str, ...]] = {
    "three_points": (),
    "five_points": (),
    "mixture": _DRAWN,
    "boxes": _DRAWN,
    "digits": ("d",),
    "points": ("path", "columns", "header", "scale"),
}
TIMES = ("uniform", "log_uniform")
WEIGHTS = ("regression", "score", "noise", "likelihood")


def _check_rising(path: str, values: list[int]) -> None:
    """Raise `InputError` unless there are two or more values, and they rise."""
    if len(values) < 2 or sorted(set(values)) != list(values):
        raise InputError(f"{path} must be two or more numbers that rise, got {values}")


@dataclass
class ProcessConfig:
    """The forward process dX = -½ g X dt + √g dB."""

    g: float = number(1.0, "rate g, at time 0 where `last` is given", above=0.0)
    last: float | None = number(None, "rate at time T, linear between; null: g is constant")
    T0: float = number(0.1, "earliest time that is learned", above=0.0)
    T: float = number(3.0, "latest time", above=0.0)

    def check(self) -> None:
        """T0 before T, rates positive."""
        if self.T0 >= self.T:
            raise InputError(
                f"process.T0 must be below process.T, got T0 = {self.T0:g}, T = {self.T:g}"
            )
        if self.last is not None and not self.last > 0:
            raise InputError(f"process.last must be above 0, got {self.last:g}")


@dataclass
class TargetConfig:
    """The law of X_0, whose f*(t, x) = E[X_0 | X_t = x] is exact."""

    name: str = choice(
        "three_points",
        "law of X_0: three points on the line, five in the plane, narrow Gaussians truncated to "
        "the cube, small boxes, scanned digits on their principal axes, points from a file",
        tuple(TARGETS),
    )
    d: int | None = count(None, "dimension of mixture and boxes (2), of digits (8)", maximum=64)
    num_components: int = count(3, "Gaussians (mixture) or boxes")
    size: float = number(
        0.1, "standard deviation of a Gaussian, half the side of a box", above=0.0, below=1.0
    )
    draw: int = count(0, "seed of their centers", minimum=0)
    path: str | None = points_path("x [S, d]", "points")
    columns: list = table_columns()
    header: bool | None = table_header()
    scale: bool = flag(False, "bring given points into the cube [-1, 1]^d")

    def check(self) -> None:
        """Points come from a file."""
        if self.name == "points" and not self.path:
            raise InputError("target.path must name a file of points when target.name=points")


@dataclass
class DataConfig:
    """What is learned from, and what is tested on."""

    num: int = count(256, "training triples N (t, X_0, X_t)", minimum=4)
    num_test: int = count(1024, "fresh points on which errors are measured", minimum=16)
    times: str = choice("uniform", "law of t on [T0, T]", TIMES)
    weight: str = choice("regression", "weight under which errors are reported", WEIGHTS)
    constant: bool = flag(True, "whether inputs z = (x, t - T0, 1) have their constant coordinate")


@dataclass
class DescentConfig:
    """Gradient descent on the loss (1/2N) Σ |f(z_j) - y_j|²."""

    step: float | None = number(
        None, "step size η; null: 1/E κ(z, z), half the largest that is stable or less", above=0.0
    )
    last: float = number(1e6, "most steps τ that kernel gradient descent is followed to", minimum=1)
    num_times: int = count(49, "training times looked at, equally spaced on a log scale", minimum=2)
    method: str = choice(
        "spectral",
        "all eigenpairs; or a Krylov space, from a stored Gram matrix or without one, whose path "
        "ends where it has not converged",
        ("spectral", "stored", "blocked"),
    )
    num_products: int = count(30, "products with the Gram matrix that span the Krylov space")
    forced: bool = flag(False, "go on with a step size above the stability limit 2/λ_max")


@dataclass
class NetworkConfig:
    """The two-layer network f = m^{-1/2} A relu(W z)."""

    widths: list = numbers([64, 256, 1024, 4096], "widths m", minimum=1, whole=True)
    start: str = choice(
        "symmetric",
        "initialisation: neurons in pairs of opposite sign, output 0; f_0 subtracted; neither",
        ("symmetric", "subtracted", "plain"),
    )
    num_steps: int = count(1000, "steps of full-batch gradient descent")
    precision: str = choice("float32", "floating point precision", ("float32", "float64"))

    def check(self) -> None:
        """Rising; pairs need an even number of neurons."""
        for m in self.widths:
            if self.start == "symmetric" and m % 2:
                raise InputError(
                    f"network.widths must be even ones when network.start=symmetric, got {m}"
                )
        if not self.widths or sorted(set(self.widths)) != list(self.widths):
            raise InputError(f"network.widths must rise, got {self.widths}")


@dataclass
class DeepConfig:
    """What practitioners do, beside it: a deeper network, all of it trained by Adam."""

    depth: int = count(3, "hidden layers")
    width: int = count(128, "units of each")
    rule: str = choice("adam", "optimiser", ("adam", "sgd"))
    learning_rate: float = number(1e-3, "learning rate", above=0.0)
    batch: int | None = count(None, "data of each step, drawn anew; null: all")


@dataclass
class StoppingConfig:
    """Rules that choose a training time."""

    holdout: float = number(0.2, "share of the data held out", above=0.0, below=1.0)


@dataclass
class GeneralisationConfig:
    """Error against the number of data."""

    sizes: list = numbers(
        [64, 128, 256, 512, 1024], "numbers N of training triples", minimum=8, whole=True
    )

    def check(self) -> None:
        """An exponent needs rising N."""
        _check_rising("generalisation.sizes", self.sizes)


@dataclass
class AssumptionsConfig:
    """What assumptions looks at."""

    sizes: list = numbers(
        [64, 128, 256, 512], "numbers N of points of the Gram matrix", minimum=16, whole=True
    )
    radii: list = numbers([1.5, 2.0, 2.5, 3.0], "radii R beyond which states are cut off", above=0)
    num_times: int = count(24, "diffusion times looked at", minimum=2)

    def check(self) -> None:
        """An exponent needs rising N; the states are cut off somewhere."""
        _check_rising("assumptions.sizes", self.sizes)
        if not self.radii:
            raise InputError(
                f"assumptions.radii must be one or more numbers above 0, got {self.radii}"
            )


@dataclass
class SamplingConfig:
    """Samples from the learned score."""

    num_samples: int = count(1000, "samples of each model", minimum=16)
    num_steps: int = count(200, "steps from T to T0")
    sampler: str = choice(
        "sde", "Euler-Maruyama on the reverse SDE; the chain of a DDPM", ("sde", "ddpm")
    )
    start: str = choice(
        "exact", "law of the first state: that of X_T; N(0, I) as in practice", ("exact", "normal")
    )
    num_times: int = count(13, "training times at which samples are drawn", minimum=3)
    shown: int = count(400, "samples of each model that are kept and drawn")


@dataclass
class NtkConfig(RunConfig):
    """Learning the score with a wide two-layer network (arXiv 2401.15604)."""

    study: str = choice("decomposition", "name of the study", tuple(STUDIES))
    process: ProcessConfig = group(ProcessConfig, "the forward process")
    target: TargetConfig = group(TargetConfig, "the law of X_0")
    data: DataConfig = group(DataConfig, "training and test data")
    descent: DescentConfig = group(DescentConfig, "gradient descent")
    network: NetworkConfig = group(NetworkConfig, "the network")
    deep: DeepConfig = group(DeepConfig, "a deeper network beside it")
    stopping: StoppingConfig = group(StoppingConfig, "stopping rules")
    generalisation: GeneralisationConfig = group(GeneralisationConfig, "error against N")
    assumptions: AssumptionsConfig = group(AssumptionsConfig, "what assumptions looks at")
    sampling: SamplingConfig = group(SamplingConfig, "samples from the learned score")

    def check(self) -> None:
        """Batches and held-out points are taken from the data there are."""
        if self.study == "decomposition" and (self.deep.batch or 0) > self.data.num:
            raise InputError(
                f"deep.batch must be at most data.num = {self.data.num}, got {self.deep.batch}"
            )
        if self.study == "early_stopping":
            self._check_holdout("data.num", self.data.num)
        if self.study == "generalisation":
            self._check_holdout("generalisation.sizes", int(self.generalisation.sizes[0]))

    def _check_holdout(self, path: str, num: int) -> None:
        share = self.stopping.holdout
        held = round(share * num)  # as `fineq.ntk.stopping.split`
        if not 0 < held < num:
            raise InputError(
                f"stopping.holdout must hold out at least one of the {num} points of {path} and "
                f"leave at least one, got {share:g}, which holds out {held}"
            )
