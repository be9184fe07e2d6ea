"""Whatever the environment or a module has set, a run computes with the same switches of JAX."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import jax
import pytest

from fineq.errors import InputError
from fineq.runs.environment import foreseen_platform, present_platform
from fineq.settings import switches

# Another value for each switch, so that none is pinned in name only.
OTHER = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "strict",
    "jax_default_matmul_precision": "bfloat16",
    "jax_allow_f16_reductions": False,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_threefry_gpu_kernel_lowering": True,
    "jax_high_dynamic_range_gumbel": True,
    "jax_random_seed_offset": 7,
    "jax_enable_custom_prng": True,
    "jax_softmax_custom_jvp": True,
    "jax_disable_jit": True,
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_disable_most_optimizations": True,
    "jax_optimization_level": "O1",
    "jax_exec_time_optimization_effort": -1.0,
    "jax_memory_fitting_effort": 1.0,
    "jax_memory_fitting_level": "O0",
    "eager_constant_folding": True,
}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = switches.state()
    switches.pin()  # tests at large promote no dtypes, runs do
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_every_switch_has_another_value_here():
    assert OTHER.keys() == switches.PINNED.keys()
    assert all(OTHER[name] != value for name, value in switches.PINNED.items())


@pytest.mark.parametrize("name", [name for name in OTHER if name in jax.config.values])
def test_a_switch_that_was_flipped_is_put_back_and_named(name):
    switches.pin()
    jax.config.update(name, OTHER[name])
    assert switches.moved() == {name: OTHER[name]}
    assert switches.pin() == {name: OTHER[name]}
    assert switches.moved() == {}


def test_who_flips_a_switch_when_called_is_refused():
    switches.pin()
    switches.check("rewards:mine")
    jax.config.update("jax_default_matmul_precision", "bfloat16")
    with pytest.raises(InputError, match="rewards:mine sets jax_default_matmul_precision") as error:
        switches.check("rewards:mine")
    assert "to bfloat16" in str(error.value)
    assert switches.moved() == {}


def test_lent_switches_are_given_back_as_they_were_found():
    jax.config.update("jax_enable_x64", False)
    with switches.lent():
        switches.pin()
        jax.config.update("jax_debug_nans", True)  # by code that runs inside
        switches.pin()
        assert switches.moved() == {}
    assert switches.moved() == {"jax_enable_x64": False}
    with switches.lent():
        pass  # nothing was pinned
    assert switches.moved() == {"jax_enable_x64": False}


DRAW = """
import json, sys
from fineq.shell.backend import prepare_jax
from fineq.settings import switches
prepare_jax()
assert switches.moved() == {}
import jax, jax.numpy as jnp
key = jax.random.key(3)
z = jax.random.normal(key, (1000,))
print(json.dumps([str(jax.random.key_impl(key)), z.tolist(), float(jax.jit(jnp.sum)(jnp.exp(z))),
                  str(jnp.zeros(1).dtype)]))
"""
ENVIRONMENT = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_ENABLE_X64": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_DEBUG_NANS": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_OPTIMIZATION_LEVEL": "O1",
    "JAX_EXEC_TIME_OPTIMIZATION_EFFORT": "-1",
    "JAX_MEMORY_FITTING_EFFORT": "1",
    "JAX_MEMORY_FITTING_LEVEL": "O0",
    "EAGER_CONSTANT_FOLDING": "1",
}


def drawn(**extra: str) -> list:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **extra}
    environment.pop("XLA_FLAGS", None)
    done = subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_environment_changes_no_number():
    plain = drawn()
    assert plain[0] == "threefry2x32"
    assert plain[-1] == "float64"
    assert drawn(**ENVIRONMENT) == plain


@pytest.fixture
def no_variables(monkeypatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("JAX_", "XLA_", "NVIDIA_")):
            monkeypatch.delenv(name)
    return monkeypatch


def test_variables_of_jax_count_unless_they_are_pinned_or_cannot_change_a_number(no_variables):
    pinned = {name.upper() for name in switches.PINNED}
    caches = {"JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"}
    for name in pinned | caches | {"JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "JAX_LOG_COMPILES"}:
        no_variables.setenv(name, "1")
    assert switches.flags() == []
    no_variables.setenv("JAX_USE_DIRECT_LINEARIZE", "0")
    no_variables.setenv("JAX_ENABLE_PGLE", "1")
    assert switches.flags() == ["JAX_ENABLE_PGLE=1", "JAX_USE_DIRECT_LINEARIZE=0"]


def test_of_a_flag_given_twice_the_last_counts(no_variables):
    given = "--xla_allow_excess_precision=false --xla_allow_excess_precision=true"
    no_variables.setenv("XLA_FLAGS", given)
    assert switches.flags() == ["--xla_allow_excess_precision=true"]


def test_flags_that_change_numbers_are_known_and_others_are_not(no_variables):
    monkeypatch = no_variables
    harmless = "--xla_force_host_platform_device_count=8 --xla_dump_to=here"
    monkeypatch.setenv("XLA_FLAGS", harmless)
    assert switches.flags() == []
    numeric = ["--xla_backend_optimization_level=0", "--xla_cpu_enable_fast_math=true"]
    monkeypatch.setenv("XLA_FLAGS", " ".join([harmless, *numeric]))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert switches.flags() == [*numeric, "NVIDIA_TF32_OVERRIDE=1"]


@pytest.fixture
def before_jax(monkeypatch) -> pytest.MonkeyPatch:
    """As before JAX is loaded, with nothing said of the platform."""
    for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "TPU_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_platform_is_known_without_jax_where_it_cannot_be_another(before_jax):
    import importlib.metadata
    import importlib.util

    before_jax.setattr(importlib.metadata, "entry_points", lambda group: [])
    installed: list[str] = []
    before_jax.setattr(importlib.util, "find_spec", lambda name: name in installed or None)
    assert foreseen_platform() == "cpu"
    installed.append("jax_plugins")
    assert foreseen_platform() is None
    before_jax.setenv("JAX_PLATFORMS", "cpu")
    assert foreseen_platform() == "cpu"
    before_jax.setenv("JAX_PLATFORMS", "cuda,cpu")
    assert foreseen_platform() is None
    before_jax.delenv("JAX_PLATFORMS")
    installed[:] = ["libtpu"]
    assert foreseen_platform() is None


def test_with_jax_the_platform_is_jaxs():
    assert present_platform() == jax.default_backend()
