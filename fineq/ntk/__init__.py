"""Score regression with wide networks: kernels, gradient descent, stopping, error decomposition.

`fineq.ntk.kernel(z1, z2)`, `gram(z)` and `product(z1, z2, v)` are those of `fineq.ntk.tangent`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fineq.ntk.tangent import gram as gram
    from fineq.ntk.tangent import kernel as kernel
    from fineq.ntk.tangent import product as product


def __getattr__(name: str) -> Any:
    # Reading a configuration must not load JAX.
    if name not in ("kernel", "gram", "product"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fineq.ntk import tangent

    return getattr(tangent, name)
