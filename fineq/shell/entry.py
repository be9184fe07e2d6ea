"""How a command begins: what it imports takes long enough for Ctrl-C to meet it."""

import importlib

from fineq.shell.reports import report_interrupt
from fineq.studies.area import AREAS, area_of


def enter(name: str = "command") -> int:
    """Run the command line of an area, of `reproduce` or of `fineq`, and return the exit code."""
    try:
        if name in AREAS:
            return importlib.import_module("fineq.shell.main").main(area_of(name))
        return importlib.import_module(f"fineq.shell.{name}").main()
    except KeyboardInterrupt:
        return report_interrupt()
