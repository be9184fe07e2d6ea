"""What happens to files: cut, flipped, emptied, replaced by what is no file."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

Damage = Callable[[Random, Path], None]


def cut(draw: Random, path: Path) -> None:
    """Keep the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) + 1)])


def behead(draw: Random, path: Path) -> None:
    """Lose the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[draw.randrange(min(len(content), 64) + 1) :])


def flip(draw: Random, path: Path) -> None:
    """Change one to eight bits."""
    content = bytearray(path.read_bytes() or b"x")
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def flip_head(draw: Random, path: Path) -> None:
    """Change a byte among the first hundred, where formats describe themselves."""
    content = bytearray(path.read_bytes() or b"x")
    content[draw.randrange(min(len(content), 100))] = draw.randrange(256)
    path.write_bytes(content)


def overwrite(draw: Random, path: Path) -> None:
    """Put noise in the middle."""
    content = path.read_bytes()
    at = draw.randrange(len(content) + 1)
    noise = draw.randbytes(draw.choice((1, 10, 200)))
    path.write_bytes(content[:at] + noise + content[at + len(noise) :])


def append(draw: Random, path: Path) -> None:
    """Add a tail."""
    content = path.read_bytes()
    path.write_bytes(content + draw.choice((b"\n", b"\0" * 30, b"junk", content)))


def empty(draw: Random, path: Path) -> None:
    """Keep nothing."""
    path.write_bytes(b"")


def replace(draw: Random, path: Path) -> None:
    """Write something else."""
    others = (b"not what it was", b"\x00" * 100, b"[" * 100_000, b"{}", b"PK\x03\x04", b"\x93NUMPY")
    path.write_bytes(draw.choice((*others, b"\x1f\x8b", b"PK\x05\x06" + bytes(18), b"null", b"1")))


def delete(draw: Random, path: Path) -> None:
    """Remove it."""
    path.unlink()


def make_folder(draw: Random, path: Path) -> None:
    """Put a folder in its place, perhaps one with something in it."""
    path.unlink()
    path.mkdir()
    if draw.random() < 0.5:
        (path / "inside").write_text("x")


def make_link(draw: Random, path: Path) -> None:
    """Put a symbolic link in its place: to itself, to nothing, to a device, to its content."""
    moved = path.with_name("moved")
    shutil.move(path, moved)
    path.symlink_to(draw.choice((path, path.with_name("none"), "/dev/null", "/dev/zero", moved)))


def make_pipe(draw: Random, path: Path) -> None:
    """Put a named pipe in its place that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def close(draw: Random, path: Path) -> None:
    """Forbid to read it (root reads it all the same)."""
    path.chmod(0)


BYTES: tuple[Damage, ...] = (cut, behead, flip, flip_head, overwrite, append, empty, replace)
PLACE: tuple[Damage, ...] = (delete, make_folder, make_link, make_pipe, close)
