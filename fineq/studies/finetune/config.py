"""Configuration of fine-tuning networks: every field with its meaning and range."""

from dataclasses import dataclass

from fineq.errors import InputError
from fineq.settings.config import RunConfig
from fineq.settings.fields import choice, count, flag, group, number, numbers, text, words
from fineq.studies.finetune import STUDIES

MOST_DIGIT = 9
METHODS = (
    "pi_ft",
    "adjoint_matching",
    "pathwise",
    "draft",
    "draft_last",
    "draft_last_kl",
    "ddpo",
    "reinforce",
    "dpok",
    "reward_weighted",
)
REWARDS = ("digit", "ink", "symmetry", "wave", "python", "prompt")


@dataclass
class DataConfig:
    """What the model is pre-trained on."""

    name: str = choice(
        "digits",
        "scikit-learn's scanned digits (8x8); a Gaussian mixture; images of yours",
        ("digits", "mixture", "images"),
    )
    path: str | None = text(
        None,
        "folder of IDX files under the names of MNIST, or of pictures of one size, or an npz file "
        "with x [N, H, W, C] and perhaps label [N] (images)",
    )
    pool: bool = flag(False, "halve images by averaging four pixels (images)")
    holdout: float = number(0.1, "share of the images that is held out", above=0.0, below=1.0)
    num: int = count(4096, "draws to learn from (mixture)", minimum=16)
    d: int = count(1, "dimension (mixture)", maximum=2)
    spread: float = number(1.0, "distance of the two means from 0 (mixture)", minimum=0.0)
    size: float = number(0.3, "standard deviation of each component (mixture)", above=0.0)

    def check(self) -> None:
        """What is read has a place."""
        if self.name == "images" and not self.path:
            raise InputError("data.path must name a folder or file when data.name=images")


@dataclass
class ChainConfig:
    """The chain of the diffusion model."""

    num_steps: int = count(50, "steps T; of those that a diffusers model was trained on", minimum=2)
    first: float = number(0.1, "noise rate at the data", above=0.0)
    last: float = number(20.0, "noise rate at the noise", above=0.0)


@dataclass
class NetworkConfig:
    """The score network."""

    name: str = choice(
        "mlp", "multilayer perceptron; U-Net with attention, for images", ("mlp", "unet")
    )
    width: int = count(192, "units of a hidden layer, or of what a U-Net is told of the time")
    depth: int = count(3, "hidden layers, or sizes of the image in a U-Net")
    channels: int = count(32, "channels of a U-Net at the image's own size; twice as many below")
    classes: bool = flag(False, "it is told the class, but of one in ten (data with classes)")
    prediction: str = choice(
        "noise", "what it predicts: ε, x0, or v", ("noise", "data", "velocity")
    )
    precision: str = choice(
        "same",
        "its arithmetic: that of the run, or bfloat16, with weights and states as they are; made "
        "for accelerators",
        ("same", "bfloat16"),
    )


@dataclass
class PretrainConfig:
    """How the base model is trained."""

    num_steps: int = count(4000, "steps of AdamW")
    batch: int = count(128, "data of each step")
    learning_rate: float = number(2e-3, "at the start; it decays by a cosine", above=0.0)
    average: float = number(0.999, "decay of the average of iterates", minimum=0.0, below=1.0)
    stops: list = numbers(
        [100, 400, 1600, 6400],
        "steps at which a copy is kept, the last of them the end (score_error)",
        whole=True,
        minimum=1,
    )
    num_samples: int = count(512, "samples behind what is said of their quality", minimum=64)


@dataclass
class RewardConfig:
    """What fine-tuning is to raise."""

    name: str = choice(
        "digit",
        "log-probability of a class under a smooth classifier; mean brightness; symmetry; "
        "a bounded wave of the first coordinate; a function of yours; log-probability of the class "
        "that is asked for (prompts)",
        REWARDS,
    )
    label: int = count(3, "the class that is wanted (digit)", minimum=0)
    labels: list = numbers(
        [0, 1, 3, 7], "classes that are asked for (prompts)", whole=True, minimum=0
    )
    target: str | None = text(None, "module:function, [d] -> scalar (python)")

    def check(self) -> None:
        """A user's reward needs its address."""
        if self.name == "python" and not self.target:
            raise InputError("reward.target must be module:function when reward.name=python")


@dataclass
class TuningConfig:
    """How the base model is fine-tuned."""

    num_steps: int = count(200, "steps of the optimiser")
    num_paths: int = count(10, "simulated paths of each step", minimum=2)
    rank: int = count(4, "of the adapters")
    learning_rate: float = number(3e-3, "at the start; it decays by a cosine", above=0.0)
    clip: float = number(1.0, "largest norm of a gradient; 0: none", minimum=0.0)
    num_inner: int = count(1, "gradient steps for each batch of paths (inner iterations m_t)")
    damping: float = number(1.0, "share of the way to the target", above=0.0, maximum=1.0)
    guidance: float | None = number(
        None,
        "weight w of classifier-free guidance, in both models; null: that of the base, which a "
        "pretrain run leaves at 0 (prompts)",
        minimum=0.0,
    )
    remat: bool = flag(
        False, "compute activations twice rather than keep those of all steps of the chain"
    )
    merged: bool = flag(True, "keep beside the adapters each model with them merged in")


@dataclass
class TruthConfig:
    """How bounds and objectives are estimated."""

    num_paths: int = count(4096, "paths behind each estimate", minimum=256)
    inner: int = count(16, "paths from each start behind the conditional bound", minimum=2)
    num_points: int = count(401, "grid points per axis where the optimum is computed (mixture)")
    num_curvatures: int = count(16, "states at each step whose curvature is looked at")

    def check(self) -> None:
        """Paths are shared out evenly over starts."""
        if self.num_paths % self.inner or self.num_paths < 2 * self.inner:
            raise InputError(
                f"truth.num_paths must be a multiple of truth.inner = {self.inner}, at least "
                f"twice, got {self.num_paths}"
            )


@dataclass
class MethodsConfig:
    """Which methods are compared."""

    names: list = words(list(METHODS), "methods that train adapters", METHODS)
    last: int = count(10, "steps of the chain that draft_last differentiates")
    best_of: list = numbers([4, 16], "n of the best of n", whole=True, minimum=2)

    def check(self) -> None:
        """A comparison has something to compare, each once."""
        for name in ("names", "best_of"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise InputError(f"methods.{name} must be distinct, got {given}")
        if not self.names:
            raise InputError("methods.names must name at least one method")

    def check_length(self, num_steps: int) -> None:
        """Raise `InputError` for more steps to be differentiated than a chain has."""
        if self.last > num_steps:
            raise InputError(
                f"methods.last must be at most the {num_steps} steps of the chain, got {self.last}"
            )


@dataclass
class AblationsConfig:
    """What one factor after the other is set to, all others as `tuning` has them."""

    rank: list = numbers([1, 4, 16], "ranks of the adapters", whole=True, minimum=1)
    num_paths: list = numbers([4, 10, 25], "paths of each step", whole=True, minimum=2)
    num_inner: list = numbers([1, 2, 4], "gradient steps for each batch", whole=True, minimum=1)
    damping: list = numbers([0.25, 0.5, 1.0], "shares of the way", above=0.0, maximum=1.0)
    num_steps: list = numbers([30, 60, 120], "steps of the optimiser", whole=True, minimum=1)


@dataclass
class MemoryConfig:
    """Where the memory of a step is measured."""

    method: str = choice(
        "pathwise", "whose step: one that keeps activations", ("pi_ft", "pathwise", "draft")
    )
    num_steps: list = numbers([50, 100, 200], "lengths of the chain", whole=True, minimum=2)
    num_paths: list = numbers([5, 10, 20], "paths of each step", whole=True, minimum=2)


@dataclass
class FinetuneConfig(RunConfig):
    """Fine-tuning networks by PI-FT and others (arXiv 2412.18164)."""

    study: str = choice("beta", "name of the study", tuple(STUDIES))
    base: str | None = text(
        None,
        "what is fine-tuned: folder of a pretrain run, a file model*.safetensors of any run, or "
        "folder of a diffusers UNet2DModel; null: a pretrain run, made when there is none",
    )
    betas: list = numbers([0.03, 0.1, 0.3, 1.0, 3.0], "prices that are compared", above=0.0)
    beta: float = number(0.3, "price of a nat (methods, ablations)", above=0.0)
    data: DataConfig = group(DataConfig, "what the base model is trained on")
    chain: ChainConfig = group(ChainConfig, "the chain of the diffusion model")
    network: NetworkConfig = group(NetworkConfig, "the score network")
    pretrain: PretrainConfig = group(PretrainConfig, "how the base model is trained")
    reward: RewardConfig = group(RewardConfig, "what is to be raised")
    tuning: TuningConfig = group(TuningConfig, "how the base model is fine-tuned")
    truth: TruthConfig = group(TruthConfig, "how bounds and objectives are estimated")
    methods: MethodsConfig = group(MethodsConfig, "which methods are compared (methods)")
    ablations: AblationsConfig = group(AblationsConfig, "what is varied (ablations)")
    memory: MemoryConfig = group(MemoryConfig, "where memory is measured (memory)")

    def check(self) -> None:
        """What a base model that is yet to be made could not serve is said before it is."""
        if self.reward.name == "prompt" and self.study != "prompts":
            raise InputError("reward.name=prompt is for study=prompts, whose paths have classes")
        exact = self.study in ("mixture", "score_error")
        if exact and self.precision == "float32":
            raise InputError(
                f"study={self.study} compares with exact solutions: give precision=float64"
            )
        if self.base is None and self.network.classes and self.data.name == "mixture":
            raise InputError("network.classes=true needs data with classes, got data.name=mixture")
        if self.base is not None or self.study in ("pretrain", "memory"):
            return
        if self.study == "methods":
            self.methods.check_length(self.chain.num_steps)
        self._check_ranks()
        name, reward = self.data.name, self.reward
        if self.study == "prompts" and not self.network.classes:
            raise InputError("study=prompts needs a model with classes: give network.classes=true")
        if exact and name != "mixture":
            raise InputError(f"study={self.study} needs data.name=mixture, got {name}")
        if reward.name in ("digit", "ink", "symmetry", "prompt") and name == "mixture":
            raise InputError(f"reward.name={reward.name} needs images, got data.name=mixture")
        if reward.name == "digit" and name == "digits" and reward.label > MOST_DIGIT:
            raise InputError(f"reward.label must be at most {MOST_DIGIT}, got {reward.label}")

    def _check_ranks(self) -> None:
        n = self.network
        most = n.width if n.name == "mlp" else max(n.width, n.channels * n.depth)
        ranks = {"tuning.rank": self.tuning.rank}
        if self.study == "ablations":
            ranks["ablations.rank"] = max(self.ablations.rank)
        for field, rank in ranks.items():
            if rank > most:
                raise InputError(
                    f"{field} must be at most {most}, the smaller side of the network's largest "
                    f"layer, got {rank}"
                )
