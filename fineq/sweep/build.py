"""The two compiled programs of a block of a sweep: one prepares its members, one makes steps."""

from functools import partial
from typing import NamedTuple

import jax

from fineq.errors import InputError
from fineq.iterate.chunk import Compiled, Layout, compile_ahead, compile_chunk, measure, num_slots
from fineq.iterate.steps import step_name, takes_key
from fineq.sweep.axes import SEED, Members
from fineq.sweep.blocks import Fitted, Resources, check_host, example_of, fit, with_members
from fineq.sweep.memory import tree_bytes
from fineq.sweep.program import Block, Member, Program, Shapes, prepare, shapes_of


class Built(NamedTuple):
    """The programs of a block, and the shapes they exchange. slots: records per chunk."""

    slots: int
    prepare: Compiled
    chunk: Compiled
    block: Block

    @property
    def seconds(self) -> float:
        """How long compiling took."""
        return self.prepare.seconds + self.chunk.seconds

    @property
    def peak_bytes(self) -> int:
        """Device memory that the larger program needs."""
        return max(self.prepare.peak_bytes, self.chunk.peak_bytes)


def _build_for(
    program: Program, shapes: Shapes, one: Member, num_records: int, use: Resources, size: int
) -> Built:
    slots = num_slots(program.rules, shapes.carry, shapes.problem, num_records, size)
    layout = Layout(shapes.mapped, use.spread)
    static = (program.init, program.rules, slots, size, layout, shapes.tree)
    prepared = compile_ahead(prepare, static, (with_members(one, size, use.sharding),))
    block = prepared.call.out_info
    chunk = compile_chunk(
        program.rules,
        layout,
        block.carry,
        block.recorded,
        block.problem,
        block.key,
        program.tolerance,
        slots,
    )
    return Built(slots, prepared, chunk, block)


def kept_bytes(program: Program, shapes: Shapes, num_records: int) -> int:
    """Bytes that one member leaves on the host: its end, and what is recorded on the way."""
    recorded = jax.eval_shape(partial(measure, program.rules), shapes.carry, shapes.problem)
    return tree_bytes(shapes.carry) + num_records * tree_bytes(recorded)


def build(
    name: str, program: Program, members: Members, num_records: int, use: Resources
) -> Fitted[Built]:
    """Compile a program for as many members at once as fit.

    Raises `ResourceError` as `fit` and `check_host`, `InputError` for a step that draws over
    members that have no seed.
    """
    names = [axis.name for axis in members.axes]
    if takes_key(program.step) and SEED not in names:
        raise InputError(
            f"{name}: {step_name(program.step)} draws, and needs an axis named {SEED} that is "
            f"not static, got {names}"
        )
    one = example_of(members)
    shapes = shapes_of(program, one)
    check_host(name, members, kept_bytes(program, shapes, num_records), use)
    leaves = zip(jax.tree.leaves(shapes.problem), shapes.mapped, strict=True)
    each = tree_bytes((shapes.carry, [leaf for leaf, axis in leaves if axis == 0]))
    compile_for = partial(_build_for, program, shapes, one, num_records, use)
    return fit(name, members.num, each, use, compile_for)
