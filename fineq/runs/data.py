"""The data file of a run: named arrays with units in one netCDF file."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from fineq.errors import InputError
from fineq.figures import Figure, from_json, to_json
from fineq.results import Array, StudyResult
from fineq.runs.digest import Identity
from fineq.runs.environment import commit, versions
from fineq.runs.files import read_regular, write_atomic

if TYPE_CHECKING:
    import xarray

NAME = "data.nc"


class DamagedError(InputError):
    """A file of a run is not what was written; the message names it."""


def to_dataset(
    arrays: Mapping[str, Array],
    coords: Mapping[str, Array] | None = None,
    figures: tuple[Figure, ...] = (),
    attributes: Mapping[str, str] | None = None,
) -> "xarray.Dataset":
    """Return the arrays as a dataset that describes itself.

    Args:
        arrays: the measured quantities by name.
        coords: the coordinates by name.
        figures: what can be drawn from it; kept as JSON in the attribute `figures`.
        attributes: further texts about the whole.

    """
    import xarray

    about = {**(attributes or {}), "figures": to_json(figures)}
    return xarray.Dataset(_variables(arrays), _variables(coords or {}), about)


def _variables(arrays: Mapping[str, Array]) -> dict[str, tuple]:
    return {name: (a.dims, a.values, _attributes(a)) for name, a in arrays.items()}


def _attributes(array: Array) -> dict[str, str]:
    return {"units": array.units, "long_name": array.long_name}


def figures_of(dataset: "xarray.Dataset") -> tuple[Figure, ...]:
    """Return the figures that a dataset describes."""
    return from_json(dataset.attrs.get("figures", "[]"))


def result_dataset(result: StudyResult, identity: Identity) -> "xarray.Dataset":
    """Return the arrays, coordinates and figures of a study's result as one dataset.

    What made the numbers are attributes of the whole: `area`, `study`, `run` (the hash), `config`
    (YAML; what does not change a number, such as `output`, is left out), `versions` (JSON) and
    `commit` (empty outside a checkout).
    """
    kept = {k: v for k, v in identity.config.items() if k not in identity.ignored}
    about = {
        "area": identity.area,
        "study": identity.study,
        "run": identity.hash,
        "config": yaml.safe_dump(kept, sort_keys=False, allow_unicode=True),
        "versions": json.dumps(versions()),
        "commit": commit() or "",
    }
    return to_dataset(result.arrays, result.coords, result.figures, about)


def write_dataset(path: Path, dataset: "xarray.Dataset") -> str:
    """Write a dataset atomically and return its SHA-256.

    The same arrays give the same bytes. The file is composed in memory first, so that a full
    disk is met in one place, with nothing half-written.
    """
    plain = {name: {"_FillValue": None} for name in dataset.variables}
    # Python 3.13 warns of a buffer that goes while a view of it stands.
    with memoryview(dataset.to_netcdf(path=None, engine="h5netcdf", encoding=plain)) as view:
        content = bytes(view)
    return write_atomic(path, content)


def read_dataset(path: Path, digest: str | None = None) -> "xarray.Dataset":
    """Read a dataset into memory; close the file.

    Args:
        path: the netCDF file.
        digest: its SHA-256 as recorded when it was written; None skips the comparison.

    Raises:
        DamagedError: when the file is missing, differs from what was written, or is no netCDF.

    """
    import xarray

    content = read_bytes(path, digest)
    # Units such as "s" are units here, not a request to turn numbers into dates.
    try:
        with xarray.open_dataset(
            io.BytesIO(content), engine="h5netcdf", decode_times=False
        ) as file:
            return file.load()
    except Exception as error:  # h5py raises many kinds for one cause
        raise DamagedError(f"{path} is damaged: not a netCDF file") from error


def read_bytes(path: Path, digest: str | None = None) -> bytes:
    """Return the content of a file of a run; raise `DamagedError` when it is not as written."""
    try:
        content = read_regular(path)
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DamagedError(f"{path} cannot be read: {reason}") from None
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise DamagedError(f"{path} is damaged: its checksum differs from the recorded one")
    return content
