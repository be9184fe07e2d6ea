"""What every area's configuration has in common."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from fineq.settings.fields import choice, count, flag, names, number, text

# These say where and how a run is carried out, not what it computes: they stay out of its hash. So
# does how members lie in blocks and on devices, on which results depend by rounding alone.
WITHOUT_EFFECT = ("output", "profile", "profiles", "force", "strict", "quiet", "save_every")
WITHOUT_EFFECT += ("block_size", "track")

PROFILES = ("smoke", "quick", "full")

# What every area says of the files that points are read from.
TABLES = (
    "a table of rows: .csv (commas), .tsv (tabs), .txt (spaces), each perhaps .gz; empty lines and "
    "lines that begin with # are passed over"
)


def points_path(array: str, rest: str) -> Any:
    """A file of points: an array of an npz file, or the rows of a table."""
    return text(None, f"npz with {array} and perhaps weights [S], or {TABLES} ({rest})")


def table_columns() -> Any:
    """The columns of a table that are coordinates."""
    return names(
        "columns of a table that are coordinates, by name, or by position from 0 where there are "
        "no names; empty: all but a first one without a name that counts the rows"
    )


def table_header() -> Any:
    """Whether a table has a line of names."""
    return flag(
        None,
        "whether the first line of a table holds names; null: it does where none of its fields is "
        "a number, or where they are an empty one and 0, 1, 2, ...",
    )


@dataclass
class RunConfig:
    """Fields common to all areas; each area adds its own groups."""

    study: str = text(None, "name of the study")
    name: str = text("run", "first part of the run folder's name")
    seeds: int = count(16, "number of seeds (instances)")
    first_seed: int = count(0, "seeds are first_seed, first_seed + 1, ...", minimum=0)
    precision: str = choice("float64", "floating point precision", ("float32", "float64"))
    block_size: int | None = count(
        None, "members processed at once; null computes it from the memory that is free"
    )
    sweep: dict[str, Any] = dataclasses.field(default_factory=dict)
    output: str = text("outputs", "folder that run folders are made in")
    profile: str = choice("quick", "size of the run: seconds, minutes, paper", PROFILES)
    profiles: dict[str, Any] = dataclasses.field(default_factory=dict)
    save_every: float = number(30.0, "time between checkpoints", unit="s", minimum=0.0)
    force: bool = flag(False, "run again even when a complete run with the same hash exists")
    strict: bool = flag(False, "exit with 1 when a claim fails")
    quiet: bool = flag(False, "print nothing but errors")
    track: str = choice(
        "none",
        "follow the run by event files in its folder (tensorboard: needs the extra track)",
        ("none", "tensorboard"),
    )
