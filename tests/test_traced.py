"""Functions that JAX cannot take are told before anything runs, each in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.traced import check_values, traced

POINT = jax.ShapeDtypeStruct((3,), jnp.float64)
WEIGHTS = np.arange(3.0)
kept = []
calls = [0]


@jax.custom_jvp
def soft(x):
    return jnp.log1p(jnp.exp(x))


soft.defjvp(lambda primals, tangents: (soft(primals[0]), tangents[0] * jax.nn.sigmoid(primals[0])))


def counting(x):
    calls[0] += 1
    return calls[0] * x


def keeping(x):
    kept.append(x)
    return kept[0] * x


def printing(x):
    jax.debug.print("{}", x)
    return x


def leaving(x):
    raise SystemExit(3)


def callback(x):
    return jax.pure_callback(np.sin, POINT, x, vmap_method="sequential")


def hidden_callback(x):
    return jax.lax.scan(lambda c, _: (callback(c), None), x, None, length=2)[0]


FIT = {
    "plain": lambda x: x * jnp.exp(-(x**2)),
    "of NumPy's constants": lambda x: WEIGHTS * x,
    "constant": lambda x: 0.5,
    "an array that does not depend on it": lambda x: WEIGHTS,
    "compiled": jax.jit(lambda x: jnp.where(x > 0, x, -x)),
    "with a derivative of its own": soft,
    "with a loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * x, x),
    "with JAX's random numbers": lambda x: x * jax.random.normal(jax.random.key(0), (3,)),
    "of library": jax.nn.relu,
}
UNFIT = {
    "NumPy": (
        lambda x: np.sin(x),
        r"it asks for numbers, as NumPy, math, float\(\) and if do .*write it with jax.numpy",
    ),
    "math": (lambda x: __import__("math").sin(x[0]) * x, "it asks for numbers"),
    "float": (lambda x: float(x[0]) * x, "it asks for numbers"),
    "if": (lambda x: x if x[0] > 0 else -x, "jnp.where for if"),
    "mask": (lambda x: x[x > 0], "it asks for numbers"),
    "index": (lambda x: [1.0, 2.0][x[0].astype(int)] * x, "it asks for numbers"),
    "error": (lambda x: x[7] @ x, r"failed on a state of shape \(3,\): \w+Error: "),
    "sys.exit": (leaving, "SystemExit: 3"),
    "callback": (callback, r"calls back into Python \(pure_callback\).*: write it with jax.numpy"),
    "hidden callback": (hidden_callback, r"calls back into Python \(pure_callback\)"),
    "compiled callback": (jax.jit(callback), r"calls back into Python \(pure_callback\)"),
    "printing": (printing, "calls back into Python"),
    "NumPy's random number": (lambda x: np.random.default_rng().normal() * x, "another result"),
    "NumPy's random array": (lambda x: np.random.default_rng().normal(size=3) * x, "another res"),
    "counter": (counting, "gives another result when it is called again"),
    "kept value": (keeping, "nothing kept between calls"),
    "None": (lambda x: None, "must return one array, got NoneType"),
    "tuple": (lambda x: (x, x), "must return one array, got tuple: jnp.stack"),
    "list": (lambda x: [x[0], x[1]], "must return one array, got list: jnp.stack"),
    "text": (lambda x: "a", "must return one array, got str"),
    "whole": (lambda x: x.astype(int), "of its argument's type, float64, got int64"),
    "plain whole": (lambda x: 3, "of its argument's type, float64, got int64"),
    "truth": (lambda x: x > 0, "of its argument's type, float64, got bool"),
    "complex": (lambda x: 1j * x, "of its argument's type, float64, got complex128"),
    "narrower": (lambda x: x.astype(jnp.float32), "type, float64, got float32"),
    "loop without end": (
        lambda x: jax.lax.while_loop(lambda y: y.sum() < 10, lambda y: y + 1.0, x),
        "cannot be differentiated twice by JAX .*Reverse-mode",
    ),
}


@pytest.mark.parametrize("kind", FIT)
@pytest.mark.parametrize("order", [1, 2])
def test_what_jax_can_take_is_taken(kind, order):
    result = traced("phi", FIT[kind], POINT, order=order)
    assert result.shape == jnp.shape(FIT[kind](jnp.ones(3)))


@pytest.mark.parametrize("kind", UNFIT)
def test_what_jax_cannot_take_is_told_in_one_sentence(kind):
    function, said = UNFIT[kind]
    with pytest.raises(InputError, match=said) as caught:
        traced("kernel.target=mine:phi", function, POINT, "state", order=2)
    assert str(caught.value).startswith("kernel.target=mine:phi ")
    assert "\n" not in str(caught.value)


def test_a_wider_result_than_the_argument_is_told():
    with pytest.raises(InputError, match="argument's type, float32, got float64"):
        traced("phi", lambda x: WEIGHTS * x, jax.ShapeDtypeStruct((3,), jnp.float32))


def test_a_stop_of_the_user_is_no_fault_of_the_function():
    def stopped(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        traced("phi", stopped, POINT)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: jnp.sqrt(x), r"phi has a NaN value at \(-1, 2\)"),
        (lambda x: 1 / (x + 1), r"phi has an infinite value at \(-1, 2\)"),
        (lambda x: x * jnp.linalg.norm(x), r"phi has a NaN gradient at \(0, 0\)"),
        (lambda x: jnp.cbrt(x), r"phi has an? (NaN|infinite) gradient at \(0, 0\)"),
    ],
)
def test_the_first_point_without_a_finite_value_or_gradient_is_named(function, said):
    points = jnp.array([[0.0, 0.0], [1.0, 3.0], [-1.0, 2.0]])
    with pytest.raises(InputError, match=said):
        check_values("phi", function, points)
    check_values("phi", jnp.sin, points)
