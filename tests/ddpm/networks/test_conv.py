"""The convolution and its derivatives against sums in NumPy and automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fineq.ddpm.networks.conv import Conv, convolve
from fineq.errors import InputError

SAME = ((1, 1), (1, 1))
BEFORE_NONE = ((0, 1), (0, 1))
CASES = [(3, 1, SAME), (3, 2, SAME), (3, 2, BEFORE_NONE), (5, 1, ((2, 1), (0, 3))), (1, 2, SAME)]


def given(size, dtype=jnp.float64):
    """An image `[2, 6, 8, 3]` and a kernel to 4 channels."""
    rng = np.random.default_rng(size)
    x, kernel = rng.normal(size=(2, 6, 8, 3)), rng.normal(size=(size, size, 3, 4))
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)


def usual(x, kernel, stride, padding):
    """The same by JAX's own primitive, differentiated by JAX."""
    names = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=names)


def allowed(dtype):
    # Sums of at most 2 · 6 · 8 products of normal numbers, in another order.
    return {"rtol": 0, "atol": 1e3 * np.finfo(dtype).eps}


@pytest.mark.parametrize(("size", "stride", "padding"), CASES)
def test_it_is_the_sum_over_patches(size, stride, padding):
    x, kernel = map(np.asarray, given(size))
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    height, width = ((n - size) // stride + 1 for n in padded.shape[1:3])
    truth = np.zeros((2, height, width, 4))
    for i, j in np.ndindex(height, width):
        seen = padded[:, stride * i : stride * i + size, stride * j : stride * j + size]
        truth[:, i, j] = np.einsum("bijc,ijco->bo", seen, kernel)
    found = convolve(jnp.asarray(x), jnp.asarray(kernel), stride, padding)
    np.testing.assert_allclose(found, truth, **allowed(float))


@pytest.mark.parametrize(
    ("size", "stride", "padding", "dtype"),
    [*((*case, jnp.float64) for case in CASES), (*CASES[2], jnp.float32)],
)
def test_derivatives_are_those_of_the_primitive(size, stride, padding, dtype):
    x, kernel = given(size, dtype)

    def all_of(function):
        def value(x, kernel):
            return function(x, kernel, stride, padding)

        out, forward = jax.jvp(value, (x, kernel), (jnp.cos(x), jnp.sin(kernel)))
        return forward, jax.vjp(value, x, kernel)[1](jnp.sin(out))

    found, truth = all_of(convolve), all_of(usual)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(dtype)}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **allowed(dtype)), found, truth)


def test_members_and_loops_see_the_same_gradients():
    x, _ = given(3)
    kernels = jnp.asarray(np.random.default_rng(5).normal(size=(2, 3, 3, 3, 3))) / 5

    def descended(function):
        def loss(kernel, x):
            return jnp.mean(jnp.tanh(function(x, kernel, 1, SAME)) ** 2)

        def run(kernel, x):
            def step(kernel, _):
                return kernel - jax.grad(loss)(kernel, x), None

            return lax.scan(step, kernel, length=3)[0]

        return jax.jit(jax.vmap(run, (0, None)))(kernels, x)

    np.testing.assert_allclose(descended(convolve), descended(usual), **allowed(float))


def test_curvature_goes_through_it():
    x, kernel = given(3)

    def curved(function):
        def loss(x):
            return jnp.sum(jnp.tanh(function(x, kernel, 2, SAME) / 9))

        return jax.jvp(jax.grad(loss), (x,), (jnp.cos(x),))[1]

    np.testing.assert_allclose(curved(convolve), curved(usual), **allowed(float))


def test_the_reverse_pass_keeps_no_patches():
    x, kernel = given(3)
    kept = jax.vjp(lambda x, kernel: convolve(x, kernel, 1, SAME), x, kernel)[1]
    # The image and the kernel, in both orders of its channels; patches are nine times the image.
    assert sum(leaf.size for leaf in jax.tree.leaves(kept)) <= x.size + 2 * kernel.size


def test_a_kernel_of_one_pixel_is_a_product():
    x = given(1)[0]
    module = Conv(4, size=1, dtype=x.dtype)
    variables = module.init(jax.random.key(0), x)
    kernel = jnp.asarray(variables["params"]["kernel"])
    assert kernel.shape == (1, 1, 3, 4)
    np.testing.assert_allclose(module.apply(variables, x), x @ kernel[0, 0], rtol=1e-12)


def test_the_module_adds_a_bias_and_keeps_the_size():
    x, kernel = given(3)
    variables = {"params": {"kernel": kernel, "bias": jnp.arange(4.0)}}
    module = Conv(4, dtype=jnp.float64)
    truth = usual(x, kernel, 1, SAME) + jnp.arange(4.0)[None, None, None]
    np.testing.assert_allclose(module.apply(variables, x), truth, **allowed(float))
    halved = Conv(4, stride=2, padding=BEFORE_NONE, dtype=jnp.float32)
    found, variables = jax.eval_shape(halved.init_with_output, jax.random.key(0), x)
    assert (found.shape, found.dtype) == ((2, 3, 4, 4), jnp.float32)
    assert variables["params"]["kernel"].shape == (3, 3, 3, 4)


@pytest.mark.parametrize(
    ("options", "said"), [({"size": 4}, "odd, got 4"), ({"stride": 3}, "1 or 2, got 3")]
)
def test_other_kernels_and_strides_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        Conv(4, **options)
