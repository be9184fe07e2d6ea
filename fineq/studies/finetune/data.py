"""What a model is pre-trained on, in memory: flat points, and where they are images their shape."""

from typing import NamedTuple

import numpy as np

from fineq.studies.finetune.config import DataConfig
from fineq.studies.inputs import images


class Data(NamedTuple):
    """Points to learn from and points held out.

    Attributes:
        x: `[N, d]`; images have intensities from -1 to 1.
        label: `[N]`, classes from 0, or None.
        held_x: held out, `[M, d]`.
        held_label: `[M]`, or None.
        shape: (height, width, channels) of images, or None.
        words: what was read.
    """

    x: np.ndarray
    label: np.ndarray | None
    held_x: np.ndarray
    held_label: np.ndarray | None
    shape: tuple[int, int, int] | None
    words: str

    @property
    def num_classes(self) -> int:
        """Classes there are; 0 without labels."""
        return 0 if self.label is None else int(self.label.max()) + 1


def load_data(config: DataConfig) -> Data:
    """The configured data, the same share held out on every run.

    Raises:
        InputError: as `fineq.studies.inputs.images`.
    """
    if config.name == "mixture":
        x, held = (_drawn(config, seed) for seed in (0, 1))
        words = f"{config.num} draws of two Gaussians, d = {config.d}; as many more held out"
        return Data(x, None, held, None, None, words)
    if config.name == "digits":
        return Data(*images.digits(share=config.holdout))
    found = images.load_images("data.path", config.path, pool=config.pool, share=config.holdout)
    return Data(*found)


def components(config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """Means `[2, d]` and covariances `[2, d, d]` of the mixture, whose weights are equal."""
    means = np.zeros((2, config.d))
    means[:, 0] = [-config.spread, config.spread]
    return means, np.broadcast_to(config.size**2 * np.eye(config.d), (2, config.d, config.d))


def _drawn(config: DataConfig, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    means, _ = components(config)
    return means[rng.integers(0, 2, config.num)] + config.size * rng.normal(
        size=(config.num, config.d)
    )
