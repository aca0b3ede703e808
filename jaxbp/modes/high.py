"""JAX's hi-primitives: operations defined by a class, with rules of its own.

`jax.custom_vjp` is to become one. An instance has `expand`, what it lowers to, which is
never differentiated: in place of it come

- in reverse mode `vjp_fwd` and `vjp_bwd` (or `vjp_bwd_retval`), as a custom_vjp's two
  functions, else `lin` and `linearized`, else `jvp`;
- in forward mode `jvp`, else `lin` and `linearized`, else the transpose of the backward
  rule. JAX's own classes define a `jvp` that can only be transposed: it is not used.
"""

from collections.abc import Sequence

import jax

from .. import ir, settings
from ..errors import MissingRule
from ..linear.base import Edge
from ..rules.registry import register
from .custom import Backward, held, none_if_zero
from .forward import Pusher
from .linearize import solid


def hi_rule(walker, primitive, values, dots, params):
    """By the rules of the instance."""
    prim = params["_prim"]
    values = solid(values)
    defined = _defined(prim)
    pushes = defined - {"vjp_fwd"}
    if "vjp_fwd" in defined and not (isinstance(walker, Pusher) and pushes):
        return _by_pullback(walker, prim, values, dots)
    if "jvp" in pushes and (isinstance(walker, Pusher) or "lin" not in pushes):
        return walker.through(_pushforward(prim), values, dots, {})
    if "lin" in pushes:
        return walker.through(_linearized(prim), values, dots, {})
    raise MissingRule(
        f"the hi-primitive `{type(prim).__name__}` defines no derivative. "
        "Give its class `vjp_fwd` and `vjp_bwd_retval`, or `jvp`."
    )


_RULES = "vjp_fwd", "jvp", "lin"


def _defined(prim) -> set[str]:
    """Names of the rules that an instance's class, or that of what it maps, defines."""
    while type(prim).__name__ == "VmapOf":
        prim = prim.prim
    classes = [c for c in type(prim).__mro__ if "expand" in vars(c)]
    base = classes[-1]
    found = {r for r in _RULES if getattr(type(prim), r) is not getattr(base, r, None)}
    by_jax = type(prim).__module__.startswith("jax.")
    return found & {"vjp_fwd"} if by_jax and "vjp_fwd" in found else found


def _by_pullback(walker, prim, values, dots):
    """As a custom_vjp: its forward part now, its backward part as a map."""
    active = tuple([dot is not None for dot in dots])
    found = prim.vjp_fwd(prim.in_tree.unflatten(active), *_args(prim, values))
    outs, residuals, *_ = found
    outs = prim.out_tree.flatten_up_to(outs)
    leaves, residual_tree = jax.tree.flatten(residuals)
    plain, residuals = held(leaves)
    cotangents = _Cotangents(prim, residual_tree)
    targets = [i for i, y in enumerate(outs) if ir.differentiable(ir.typeof(y))]
    rule = Backward(
        cotangents,
        ir.function_key(cotangents),
        plain,
        active,
        tuple([ir.tangent_aval(ir.typeof(v)) for v in values]),
        tuple([ir.tangent_aval(ir.typeof(y)) for y in outs]),
        bool(prim.params.get("symbolic_zeros")),
        tuple(targets),
        settings.current(),
        name=type(prim).__name__,
    )
    ins = tuple([place for place, moves in enumerate(active) if moves])
    edge = Edge(rule, residuals, ins, rule.targets)
    return list(outs), walker.extend([edge], dots, outs)


class _Cotangents:
    """The backward rule of an instance, from flat arrays to a flat list."""

    def __init__(self, prim, residual_tree):
        self.prim, self.residual_tree = prim, residual_tree

    def __call__(self, *operands):
        prim, count = self.prim, self.residual_tree.num_leaves
        residuals = self.residual_tree.unflatten(operands[:count])
        y_bars = prim.out_tree.unflatten(operands[count:])
        sums = [_Sum(aval) for aval in prim.in_avals_flat]
        if _gives(prim):
            found = prim.vjp_bwd_retval(residuals, y_bars)
            return list(prim.in_tree.flatten_up_to(found))
        prim.vjp_bwd(residuals, y_bars, *prim.in_tree.unflatten(sums))
        return [x_bar.total for x_bar in sums]


def _gives(prim) -> bool:
    """Whether the backward rule returns cotangents; else it adds them to sums."""
    base = [c for c in type(prim).__mro__ if "expand" in vars(c)][-1]
    return type(prim).vjp_bwd is base.vjp_bwd


class _Sum:
    """What a backward rule adds a cotangent to."""

    def __init__(self, aval):
        self.aval, self.total = aval, None

    def accum(self, x_bar):
        x_bar = none_if_zero(x_bar)
        if x_bar is not None:
            self.total = x_bar if self.total is None else self.total + x_bar


def _args(prim, flat: Sequence):
    return prim.in_tree.unflatten(flat)


def _dense(prim, primals, tangents):
    """Tangents in the form of the arguments; JAX takes zeros as arrays, too."""
    return _args(
        prim,
        [
            ir.zeros(ir.tangent_aval(ir.typeof(x))) if t is None else t
            for x, t in zip(primals, tangents, strict=True)
        ],
    )


def _flat(prim, tree, outs) -> list:
    """A rule's tangents as a list, None where an output carries none."""
    pairs = zip(prim.out_tree.flatten_up_to(tree), outs, strict=True)
    return [
        none_if_zero(t) if ir.differentiable(ir.typeof(y)) else None for t, y in pairs
    ]


def _pushforward(prim):
    def rule(primals, tangents):
        found = prim.jvp(_args(prim, primals), _dense(prim, primals, tangents))
        outs = prim.out_tree.flatten_up_to(found[0])
        return outs, _flat(prim, found[1], outs)

    return rule


def _linearized(prim):
    def rule(primals, tangents):
        moving = prim.in_tree.unflatten([t is not None for t in tangents])
        outs, residuals, *_ = prim.lin(moving, *_args(prim, primals))
        outs = prim.out_tree.flatten_up_to(outs)
        dots = prim.linearized(residuals, *_dense(prim, primals, tangents))
        return outs, _flat(prim, dots, outs)

    return rule


register("call_hi_primitive", hi_rule)
