"""Where the files of a diffusers model lie below its folder; nothing of JAX is loaded."""

from pathlib import Path
from typing import NamedTuple

from fineq.errors import InputError

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
CHAIN = "scheduler_config.json"
PIPELINE = "model_index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")  # run code when they are read


class Places(NamedTuple):
    """Files of a model, relative to its folder.

    Attributes:
        folder: of the model.
        config: which network it is.
        weights: its tensors.
        chain: its noise schedule, or None.
        others: what else belongs to it.
    """

    folder: Path
    config: Path
    weights: Path
    chain: Path | None
    others: tuple[Path, ...] = ()


def places_of(folder: str | Path) -> Places | None:
    """The files of a diffusers model, bare or in a pipeline's folder; None for another folder."""
    root = Path(folder)
    if (root / PIPELINE).is_file() and (root / "unet" / CONFIG).is_file():
        chain = Path("scheduler") / CHAIN
        return Places(root, *_in(root, Path("unet"), chain), (Path(PIPELINE),))
    if (root / CONFIG).is_file():
        return Places(root, *_in(root, Path(), Path(CHAIN)))
    return None


def is_diffusers(folder: str | None) -> bool:
    """Whether a folder is that of a diffusers model."""
    return folder is not None and places_of(folder) is not None


def check_weights(places: Places) -> None:
    """Raise `InputError` where there is no file of weights that can be read safely."""
    weights = places.folder / places.weights
    if weights.is_file():
        return
    beside = sorted(weights.parent.iterdir())
    pickles = [entry.name for entry in beside if entry.suffix.lower() in PICKLES]
    if pickles:
        raise InputError(
            f"{weights.parent} has its weights in {pickles[0]}, by its name a pickle, which could "
            f"run code when it is read, and is not opened: save them as {WEIGHTS}"
        )
    parts = [entry.name for entry in beside if entry.suffix == ".safetensors"]
    if parts:
        raise InputError(
            f"{weights.parent} has its weights in {parts[0]}: they must lie in one file, {WEIGHTS}"
        )
    raise InputError(f"{weights.parent} has no {WEIGHTS}")


def _in(root: Path, inner: Path, chain: Path) -> tuple[Path, Path, Path | None]:
    found = chain if (root / chain).is_file() else None
    return inner / CONFIG, inner / WEIGHTS, found
