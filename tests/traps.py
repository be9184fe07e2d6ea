"""`python -m tests.traps FOLDER` lays out an empty wheel of version 9999.0 for every locked name.

A set-up that sees the folder by PIP_FIND_LINKS meets a newer release of everything at once: what
resolves anew, or fetches beside the locks, takes one and fails today rather than on release day.
Only the standard library is used: there is no environment yet.
"""

import re
import sys
import zipfile
from pathlib import Path

LOCKS = sorted(Path(__file__).parent.parent.glob("requirements*.lock"))
VERSION = "9999.0"


def locked_names() -> list[str]:
    """Every name that a lock pins, and what builds source distributions."""
    text = "\n".join(lock.read_text() for lock in LOCKS)
    return sorted({*re.findall(r"^([\w.-]+)==", text, re.M), "setuptools", "wheel"})


def write_trap(folder: Path, name: str) -> None:
    """Write a wheel that installs nothing under a version above all others."""
    plain = re.sub(r"[-_.]+", "_", name)
    about = f"{plain}-{VERSION}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: traps\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{plain}-{VERSION}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{about}/{file}", text)
        record = "".join(f"{about}/{file},,\n" for file in (*files, "RECORD"))
        wheel.writestr(f"{about}/RECORD", record)


if __name__ == "__main__":
    for locked in locked_names():
        write_trap(Path(sys.argv[1]), locked)
