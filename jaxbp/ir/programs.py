"""Primitives, equations and inner programs."""

import functools
import importlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.core
import numpy as np
from jax import lax, ref
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Literal, Primitive, primitives

from .values import Hole, struct, typeof


def primitive(name: str) -> Primitive | None:
    """The JAX primitive called `name`, or None where this JAX has none.

    `jax.extend.core.primitives` exports most of them, `jax.lax` some of the rest.
    """
    found = getattr(primitives, f"{name}_p", None)
    return found if found is not None else getattr(lax, f"{name}_p", None)


def jax_differentiates(primitive: Primitive) -> bool:
    """Whether JAX's tables hold a derivative of a primitive; read, never used here."""
    tables = importlib.import_module("jax.interpreters.ad")
    names = "primitive_jvps", "primitive_linearizations"
    return any(primitive in getattr(tables, name, ()) for name in names)


def inner(program) -> tuple[Any, Sequence]:
    """The equations of a closed program and its constants (one object from 0.12)."""
    return program.jaxpr, program.consts


def closed(jaxpr, consts=()):
    """An inner program with its constants (from 0.12 it holds them itself)."""
    return jaxpr if hasattr(jaxpr, "consts") else ClosedJaxpr(jaxpr, consts)


def inner_programs(params: dict) -> list:
    """The programs among an equation's parameters, in their order, closed.

    Another package's primitive may hold the constants of its program elsewhere: they
    are then inputs like others.
    """
    leaves = jax.tree.leaves(list(params.values()), is_leaf=_is_program)
    return [closed(_without_constants(leaf)) for leaf in leaves if _is_program(leaf)]


def every_equation(jaxpr) -> Iterator[Any]:
    """The equations of a program and of all programs inside it, each once."""
    for eqn in jaxpr.eqns:
        yield eqn
        for program in inner_programs(eqn.params):
            yield from every_equation(program.jaxpr)


def every_constant(program) -> Iterator[Any]:
    """The constants of a closed program and of all programs inside it; literals too, in
    their types."""
    jaxpr, consts = inner(program)
    yield from consts
    for eqn in jaxpr.eqns:
        yield from (literal(a) for a in eqn.invars if isinstance(a, Literal))
    for eqn in jaxpr.eqns:
        for within in inner_programs(eqn.params):
            yield from every_constant(within)


def literal(atom: Literal) -> np.ndarray:
    """The number that an equation holds, in its type."""
    return np.asarray(atom.val, getattr(atom.aval, "dtype", None))


def _without_constants(jaxpr):
    if hasattr(jaxpr, "consts") or not jaxpr.constvars:
        return jaxpr
    return jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])


def constants_first(program) -> tuple[Any, Sequence]:
    """A closed program whose first inputs are its constants, and these."""
    jaxpr, consts = inner(program)
    if consts:
        opened = [*jaxpr.constvars, *jaxpr.invars]
        program = closed(jaxpr.replace(constvars=[], invars=opened))
    return program, consts


def _is_program(value) -> bool:
    return hasattr(value, "eqns")


# Primitives that run the program they hold, once, and do nothing else.
CALLS = (
    "jit", "pjit", "closed_call", "core_call", "composite", "custom_vmap_call",
    "for_cpu", "one_function", "xla_metadata_call",
)  # fmt: skip
CHECKPOINTS = ("checkpoint", "remat", "remat2")


def called(params: dict):
    """The closed program that a call or a checkpoint holds."""
    found = next(params[k] for k in ("jaxpr", "call_jaxpr", "call") if k in params)
    return closed(found)


def inlined(params: dict) -> bool:
    """Whether a jit asks to be inlined in its caller (an enumeration from 0.11)."""
    wanted = params.get("inline", False)
    return wanted is True or getattr(wanted, "name", "") == "JAX_EARLY"


_ITSELF = object()


def once_per_program(make: Callable) -> Callable:
    """`make(program, *key)`, remembered as long as the program lives.

    What `make` returns may be the program itself; else it must not hold it, or neither
    would ever be freed.
    """
    found = weakref.WeakKeyDictionary()

    @functools.wraps(make)
    def remembered(program, *key):
        entries = found.get(program)
        if entries is None:
            entries = found[program] = {}
        if key not in entries:
            made = make(program, *key)
            entries[key] = _ITSELF if made is program else made
        return program if entries[key] is _ITSELF else entries[key]

    return remembered


def evaluate_program(program, operands: Sequence) -> list:
    """The outputs of a closed inner program."""
    jaxpr, consts = inner(program)
    return jax.core.eval_jaxpr(jaxpr, consts, *operands)


def evaluate_by(each: Callable, program, operands: Sequence) -> list:
    """The outputs of a closed inner program, by each(eqn, operands) -> outputs."""
    return evaluate_equations(each, *inner(program), operands)


def evaluate_equations(each: Callable, jaxpr, consts: Sequence, operands: Sequence):
    """The same of a jaxpr, whose constants may be tracers."""
    env = dict(zip(jaxpr.constvars, consts, strict=True))
    env |= dict(zip(jaxpr.invars, operands, strict=True))
    for eqn in jaxpr.eqns:
        outs = each(eqn, [read_value(env, atom) for atom in eqn.invars])
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read_value(env, atom) for atom in jaxpr.outvars]


def is_zero(value) -> bool:
    """Whether a custom rule's value is JAX's own word for a zero."""
    return type(value).__name__ == "Zero" and type(value).__module__.startswith("jax.")


def saveable(verdict) -> bool:
    """What a checkpoint policy says of a value: keep it, here or on the host."""
    return verdict is True or type(verdict).__name__ in ("SaveableType", "Offloadable")


def call_params(primitive: Primitive, params: dict) -> dict:
    """Parameters as `bind` takes them, from those an equation stores."""
    found = primitive.get_bind_params(params)
    return found[-1] if isinstance(found, tuple) else found


def custom_cotangents(bwd, operands: Sequence) -> Sequence:
    """What a custom backward function gives; from 0.11 it adds a log."""
    call = getattr(bwd, "call_wrapped", bwd)  # plain where it takes accumulators
    found = call(*operands)
    logged = isinstance(found, tuple) and len(found) == 2
    return found[0] if logged and isinstance(found[0], (list, tuple)) else found


@jax.tree_util.register_pytree_node_class
class Static:
    """What a traced function tells beside its arrays: no leaves, all structure.

    `value` may hold no tracer of the function.
    """

    def __init__(self, value):
        self.value = value

    def tree_flatten(self):
        return (), self

    @classmethod
    def tree_unflatten(cls, static, children):
        return static


class _Identity:
    """Something as a key that equals itself alone; holds it, so that no other takes
    its place."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return id(self.value)

    def __eq__(self, other):
        return isinstance(other, _Identity) and self.value is other.value


def function_key(function, told: Callable | None = None):
    """A key of a wrapped function, equal for two that do the same.

    JAX wraps a custom rule anew at each call: the user's function, and per wrapper its
    parameters. What is told later, by the thunk `told`, is left out: it must be part of
    the caller's own key.
    """
    wrappers = getattr(function, "transforms", None)
    if wrappers is None or getattr(function, "params", ()):
        return _Identity(function)
    parts = [(made, tuple([_key(p, told) for p in given])) for made, given in wrappers]
    return _Identity(function.f), tuple(parts)


def _key(value, told):
    if value is told:
        return None
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple([_key(v, told) for v in value])
    value = getattr(value, "val", value)  # a static argument, wrapped as unhashable
    if isinstance(value, (bool, int, float, complex, str, jax.tree_util.PyTreeDef)):
        return type(value), value
    return value if isinstance(value, ShapedArray) else _Identity(value)


def call_beside(function, args: Sequence) -> list:
    """A custom_vjp's own function beside its forward part, which is to speak for it.

    JAX asks the one of the two that was called for the structure of the outputs, and
    refuses where both were.
    """
    try:
        return list(function.call_wrapped(*args))
    finally:
        for store in getattr(function, "stores", ()):
            if store is not None:
                store.reset()


def read(env: dict, atom) -> tuple:
    """(value, dot) of an equation's operand."""
    return (atom.val, None) if isinstance(atom, Literal) else env[atom]


def read_value(env: dict, atom):
    """The value of an equation's operand, of variable -> value."""
    return atom.val if isinstance(atom, Literal) else env[atom]


def equation_context(eqn):
    """The context (mesh, compute type, metadata) in which `eqn` was traced."""
    return eqn.ctx.manager


def staged(primitive: Primitive, function: Callable, values: Sequence, params: dict):
    """A call whose function is known as code only, as a program of one equation.

    Returns:
      The jaxpr; its constants; a function that gives the call's result the form in
      which the caller expects it, from a list of arrays.
    """
    found = []

    def call(*values):
        found.append(primitive.bind(*values, subfuns=(function,), **params))
        return list(found[0])

    jaxpr, consts = inner(jax.make_jaxpr(call)(*map(struct, map(typeof, values))))
    return jaxpr, consts, found[0].update


def scan_split(values: Sequence, params: dict) -> tuple[list, list, list]:
    """What there is one of per operand of a scan: of constants, carries, elements."""
    count, carries = scan_counts(params)
    last = count + carries
    return list(values[:count]), list(values[count:last]), list(values[last:])


def while_split(values: Sequence, params: dict) -> tuple[list, list, list]:
    """What there is one of per operand of a while loop: of the condition's constants,
    the body's, and carries."""
    first = params["cond_nconsts"]
    last = first + params["body_nconsts"]
    return list(values[:first]), list(values[first:last]), list(values[last:])


@functools.cache
def addupdate() -> Primitive:
    """The primitive of `jax.ref.addupdate`, which JAX exports nowhere."""
    program = jax.make_jaxpr(lambda x: ref.addupdate(ref.new_ref(x), (), x))(0.0)
    names = {eqn.primitive.name: eqn.primitive for eqn in inner(program)[0].eqns}
    return names["addupdate"]


def scan_counts(params: dict) -> tuple[int, int]:
    """How many operands of a scan are constants, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].unpack()  # from 0.11
    return len(consts), len(carry)


def evaluate(primitive: Primitive, values: Sequence, params: dict) -> list:
    """The outputs of one primitive; `Hole`s where an operand is a `Hole`."""
    if any(type(v) is Hole for v in values):
        out, _ = primitive.abstract_eval(*map(typeof, values), **params)
        return [Hole(a) for a in out] if primitive.multiple_results else [Hole(out)]
    out = primitive.bind(*values, **params)
    return list(out) if primitive.multiple_results else [out]
