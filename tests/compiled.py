"""How often a jitted function is compiled, as JAX tells."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax.monitoring

COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def compilations(function: str) -> Iterator[list[str]]:
    """The compilations of jitted functions of a name that are made meanwhile."""
    found: list[str] = []

    def listen(event: str, seconds: float, fun_name: str = "", **_: object) -> None:
        del seconds
        if event == COMPILED and function in fun_name:
            found.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
