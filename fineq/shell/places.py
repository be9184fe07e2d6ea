"""Where the configurations lie, and where compiled programs are kept."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent / "configs"
# Beside the package in a checkout, inside it where fineq was installed as a wheel.
CONFIGS = _CHECKOUT if _CHECKOUT.is_dir() else _PACKAGE / "configs"


def program_cache() -> Path:
    """`.cache/jax` of a checkout; of an installed fineq a folder of the user's."""
    if CONFIGS == _CHECKOUT:
        return CONFIGS.parent / ".cache" / "jax"
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "fineq" / "jax"
