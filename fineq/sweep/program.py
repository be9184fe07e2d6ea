"""What one member of a sweep computes, and how a block of members is prepared on the devices."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Var
from jax.sharding import NamedSharding, PartitionSpec

from fineq.iterate.chunk import Layout, Metrics, Recorded, Rules, buffers
from fineq.iterate.core import Carry, Diverged, Until, non_finite, start
from fineq.iterate.steps import Step
from fineq.keys import key_for
from fineq.sweep.axes import SEED

Member = dict[str, jax.Array]
Init = Callable[[Any, Member], tuple[Any, Any]]


class Program(NamedTuple):
    """What each member computes; all but the member's own numbers is static.

    init: `init(key, member) -> (state, problem)`, pure, for one member: `member` maps the name of
        each traced axis to its value, a scalar array. It runs once, before the first step. Leaves
        of the problem that do not depend on the member are kept once and not per member. The key
        is None where members have no seed.
    step, metrics, record, until, tolerance, diverged: as in `fineq.iterate.iterate`.
    """

    init: Init
    step: Step
    num_steps: int
    metrics: Metrics | None = None
    record: Any = None
    until: Until | None = None
    tolerance: float = 0.0
    diverged: Diverged = non_finite

    @property
    def rules(self) -> Rules:
        """The static part of the loop."""
        return Rules(self.step, self.metrics, self.until, self.diverged)


def keys(member: Member) -> tuple[jax.Array, jax.Array] | tuple[None, None]:
    """The key for `init` and the key of the steps of a member, by its seed; None without one."""
    if SEED not in member:
        return None, None
    return key_for(member[SEED], "a member's init"), key_for(member[SEED], "a member's steps")


def begin(init: Init, member: Member) -> tuple[Any, Any]:
    """State and problem of one member."""
    return init(keys(member)[0], member)


class Shapes(NamedTuple):
    """What tracing `init` once tells about a member.

    mapped: for each leaf of the problem 0 if it depends on the member, else None.
    tree: the structure of the problem.
    carry, problem: shapes and dtypes.
    """

    mapped: tuple[int | None, ...]
    tree: Any
    carry: Any
    problem: Any


def _varying(jaxpr: Any, given: Sequence[bool]) -> list[bool]:
    """For each result of a traced function, whether it may depend on the arguments that vary."""
    dependent = {variable for variable, varies in zip(jaxpr.invars, given, strict=True) if varies}

    def depends(variable: Any) -> bool:
        return isinstance(variable, Var) and variable in dependent

    for equation in jaxpr.eqns:
        into = [depends(variable) for variable in equation.invars]
        if equation.primitive.name == "jit":
            out = _varying(equation.params["jaxpr"].jaxpr, into)
        else:
            out = [any(into)] * len(equation.outvars)
        dependent.update(v for v, varies in zip(equation.outvars, out, strict=True) if varies)
    return [depends(variable) for variable in jaxpr.outvars]


def shapes_of(program: Program, member: Member) -> Shapes:
    """Trace `init` for a member; nothing is computed. Raises as `check_step` does."""
    traced, (state, problem) = jax.make_jaxpr(partial(begin, program.init), return_shape=True)(
        member
    )
    key = jax.eval_shape(lambda member: keys(member)[1], member)
    carry = jax.eval_shape(partial(start, program.step), state, problem, key)
    all_vary = [True] * len(traced.jaxpr.invars)
    varying = _varying(traced.jaxpr, all_vary)[len(jax.tree.leaves(state)) :]
    mapped = tuple(0 if depends else None for depends in varying)
    return Shapes(mapped, jax.tree.structure(problem), carry, problem)


class Block(NamedTuple):
    """A block before its first chunk; all but shared leaves of the problem lead with members."""

    carry: Carry
    recorded: Recorded
    problem: Any
    key: jax.Array | None


def _constrain(block: Block, layout: Layout) -> Block:
    sharding = layout.sharding
    if sharding is None:
        return block
    leaves, tree = jax.tree.flatten(block.problem)
    whole = NamedSharding(sharding.mesh, PartitionSpec())
    places = [whole if axis is None else sharding for axis in layout.mapped]
    carry, recorded, key = lax.with_sharding_constraint(
        (block.carry, block.recorded, block.key), sharding
    )
    problem = tree.unflatten(map(lax.with_sharding_constraint, leaves, places))
    return Block(carry, recorded, problem, key)


@partial(jax.jit, static_argnames=("init", "rules", "slots", "size", "layout", "tree"))
def prepare(
    init: Init, rules: Rules, slots: int, size: int, layout: Layout, tree: Any, members: Member
) -> Block:
    """Build a block of `size` members, each leaf of `members` having shape [size, ...]."""

    def one(member: Member) -> tuple[Carry, Recorded, list[Any], jax.Array | None]:
        state, problem = begin(init, member)
        key = keys(member)[1]
        carry = start(rules.step, state, problem, key)
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(problem)]
        return carry, buffers(rules, carry, problem, slots), leaves, key

    many = jax.vmap(one, out_axes=(0, 0, list(layout.mapped), 0), axis_size=size)
    carry, recorded, leaves, key = many(members)
    return _constrain(Block(carry, recorded, tree.unflatten(leaves), key), layout)
