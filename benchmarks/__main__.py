"""`python -m benchmarks [quick] [NAME ...]`: ratios against named alternatives, as tables.

`--write FILE` writes the same tables as Markdown.
"""

import importlib
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from benchmarks.timing import Row

NAMES = (
    "rollouts",
    "riccati",
    "driver",
    "sweeps",
    "chain",
    "grid",
    "lq",
    "control",
    "kernel",
    "kernel_descent",
    "network",
    "denoising",
    "tuning",
)


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows of one benchmark as a Markdown table."""
    lines = [
        f"### {title}",
        "",
        "| what | measured | ratio | against | note |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        measured, ratio = f"{row.measured:.4g} {row.unit}", f"{row.ratio:.3g}"
        lines.append(f"| {row.name} | {measured} | {ratio} | {row.against} | {row.note} |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    """Run the benchmarks named (default: all) and print their tables."""
    jax.config.update("jax_enable_x64", True)
    words = list(words)
    target = None
    if "--write" in words:
        at = words.index("--write")
        target = Path(words[at + 1])
        del words[at : at + 2]
    quick = "quick" in words
    names = [word for word in words if word != "quick"] or list(NAMES)
    wrong = [name for name in names if name not in NAMES]
    if wrong:
        print(
            f"fineq: benchmark must be one of {', '.join(NAMES)}, got {wrong[0]}", file=sys.stderr
        )
        return 2
    devices = ", ".join(sorted({device.device_kind for device in jax.devices()}))
    tables = [
        "# Benchmarks\n\n"
        f"By `make bench`: jax {jax.__version__} on {devices} with {os.cpu_count()} cores, "
        f"Python {platform.python_version()}.\nRatios are of one run; of several times the least "
        "counts, for other work on a machine can only add."
    ]
    print(tables[0], flush=True)
    for name in names:
        module = importlib.import_module(f"benchmarks.{name}")
        tables.append(table(module.TITLE, module.run(quick)))
        print(f"\n{tables[-1]}", flush=True)
    if target is not None:
        target.write_text("\n\n".join(tables) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
