"""How a command begins: what it imports takes long enough for Ctrl-C to meet it."""

import importlib

from experiments.reports import report_interrupt


def enter(name: str) -> int:
    """Import `experiments.<name>`, run its `command` and return the exit code."""
    try:
        return importlib.import_module(f"experiments.{name}").command()
    except KeyboardInterrupt:
        return report_interrupt()
