"""Functions from modules that the user can import."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from fineq.errors import InputError, in_a_line
from fineq.settings import switches


def load_function(field: str, target: str) -> Callable[..., Any]:
    """The function that `module:function` names; the working directory is searched first.

    Switches of JAX that the module flips while it is imported are put back.

    Raises:
        InputError: when the address is malformed, there is no such module or function, or the
            module ends the process, or fails, while it is imported.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise InputError(f"{field} must be module:function, got {target}")
    if module_name.endswith(".py") or "/" in module_name:
        raise InputError(
            f"{field}={target}: name the module as import does, without .py and with dots for "
            "folders"
        )
    module = _imported(f"{field}={target}", module_name)
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{field}={target}: module {module_name} has no function {name}")
    return function


def _imported(name: str, module: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise InputError(
            f"{name}: module {module} ends the process when it is imported (sys.exit): what a "
            'script does belongs below `if __name__ == "__main__":`'
        ) from error
    except BaseException as error:
        raise InputError(
            f"{name}: module {module} cannot be imported ({in_a_line(error)})"
        ) from error
    finally:
        switches.pin()
