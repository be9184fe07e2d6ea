"""`over_members`: a pure function of one member over named axes, in blocks of bounded memory."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding

from fineq.errors import InputError
from fineq.iterate.chunk import Compiled, compile_ahead
from fineq.iterate.events import Progress, Store
from fineq.iterate.session import Session, session
from fineq.keys import is_key
from fineq.sweep.axes import Axis, Members, assemble, block_layout, check_axes, parts_of
from fineq.sweep.blocks import (
    Fitted,
    Resources,
    check_host,
    example_of,
    fit,
    join,
    pick,
    resources,
    with_members,
)
from fineq.sweep.memory import Device, check_kept, tree_bytes
from fineq.sweep.program import Member
from fineq.sweep.result import MembersResult

Function = Callable[[dict[str, Any]], Any]


class Part(NamedTuple):
    """What the members of one combination of static values give: leaves [M, ...] on the host."""

    values: Any
    built: Fitted[Compiled]
    run_seconds: float


def _one(function: Function, member: Member) -> Any:
    """Arrays of one member, random keys as their data."""
    values = jax.tree.map(jnp.asarray, function(member))
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, values)


@partial(jax.jit, static_argnames=("function", "size", "sharding"))
def evaluate(function: Function, size: int, sharding: NamedSharding | None, members: Member) -> Any:
    """The values of a block of `size` members, each leaf of `members` having shape [size, ...]."""
    values = jax.vmap(partial(_one, function), axis_size=size)(members)
    return values if sharding is None else lax.with_sharding_constraint(values, sharding)


def _build(
    name: str, function: Function, members: Members, use: Resources
) -> tuple[Fitted[Compiled], Any]:
    """Programs for as many members at once as fit, and shapes of one member's values.

    Raises `ResourceError` as `fit` and `check_host`.
    """
    one = example_of(members)
    # Traced as a block of all: where all fit, compiling finds that trace.
    size, _ = block_layout(members.num, members.num, len(use.devices))
    block = evaluate.eval_shape(function, size, use.spread, with_members(one, size, use.sharding))
    values = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), block)
    check_host(name, members, tree_bytes(values), use)

    def compile_for(size: int) -> Compiled:
        static, block = (function, size, use.spread), with_members(one, size, use.sharding)
        return compile_ahead(evaluate, static, (block,))

    return fit(name, members.num, tree_bytes((one, values)), use, compile_for), values


def _run_part(
    stage: Session,
    name: str,
    function: Function,
    members: Members,
    use: Resources,
    first: Part | None,
) -> Part:
    """Evaluate, or read back, the blocks of one combination of static values."""
    stage.report("compiling", 0)
    built, shapes = _build(stage.name, function, members, use)
    stage.obey()
    if first is not None:
        _check_alike(stage.name, first, shapes)
    began = time.perf_counter()

    def compute(number: int) -> Any:
        return built.programs.call(pick(members, number, built.size, use))

    entries = built.entries(name, members)
    like = with_members(shapes, built.size)
    blocks = [
        stage.evaluate(entry.name, partial(compute, entry.number), like, entry.actual)
        for entry in entries
    ]
    return Part(join(entries, blocks), built, time.perf_counter() - began)


def _check_alike(name: str, first: Part, shapes: Any) -> None:
    """Values must fit in one array over the static axes; said before they are computed."""
    before = str(jax.tree.map(lambda x: x.shape[1:], first.values))
    now = str(jax.tree.map(lambda x: x.shape, shapes))
    if before != now:
        raise InputError(f"{name}: values differ in shape between static values: {before}, {now}")


def over_members(
    function: Function,
    axes: Sequence[Axis],
    *,
    inputs: Mapping[str, Any] | None = None,
    block_size: int | None = None,
    memory: int | None = None,
    devices: Sequence[Device] | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str = "members",
    save_seconds: float = 30.0,
) -> MembersResult:
    """Evaluate a pure function for every combination of the axes' values.

    function: `function(member) -> pytree of arrays`, pure, for one member: `member` maps the name
        of each axis to its value, a scalar array or, of a static axis, as it was given, and the
        name of each input to the member's part. Compiled once for each combination of static
        values. It draws by `fineq.keys.key_for`, from the member's seed.
    axes: their product in the order given; seeds are an axis like others, and need not be one.
    inputs: likewise, as for `sweep`.
    block_size, memory, devices: as for `sweep`.
    store, progress, name, save_seconds: likewise; finished blocks are kept.

    Returns the values with leaves [*axes, ...], on the host, random keys as their data, and what
    they cost. They do not depend on blocks or devices but for rounding.

    Raises `InputError` when shapes differ between static values, too; otherwise as `sweep`.
    """
    axes = check_axes(axes, inputs or {})
    total = math.prod(len(axis) for axis in axes)
    check_kept(name, total)
    parts: list[Part] = []
    with session(name, total, store, progress, save_seconds) as stage:
        for i, (static, members) in enumerate(parts_of(axes, inputs or {})):
            use = resources(members.num, block_size, memory, devices)
            first = parts[0] if parts else None
            own = partial(_with_static, function, static)
            parts.append(_run_part(stage, f"{name}-{i}", own, members, use, first))
    values = jax.tree.map(lambda *each: assemble(axes, each), *(part.values for part in parts))
    return MembersResult(
        values,
        block_size=max(part.built.size for part in parts),
        compile_seconds=sum(part.built.compile_seconds for part in parts),
        run_seconds=sum(part.run_seconds for part in parts),
        peak_bytes=max(part.built.peak_bytes for part in parts),
    )


def _with_static(function: Function, static: dict[str, Any], member: Member) -> Any:
    return function({**member, **static})
