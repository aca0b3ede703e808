"""Functions that bring derivative rules of their own: custom_jvp and custom_vjp."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax.custom_derivatives import SymbolicZero

from .. import ir, settings
from ..errors import InvalidArgument, MissingRule, NonlinearTangent, NoTranspose
from ..linear.base import Edge, LinearMap
from ..linear.odd_types import odd_types
from ..rules.effects import custom_rule
from ..rules.registry import register
from ..walkers.linearize import linearize_flat, solid
from ..walkers.live import run_live


def custom_jvp(walker, primitive, values, dots, params):
    """Through the function's own pushforward; what it does to tangents is recorded."""
    params = _bound(primitive, params)
    fun, jvp = params["subfuns"]
    if any(type(v) is ir.Hole for v in values):
        return _of_tangents(walker, fun, values, dots)
    symbolic = params["symbolic_zeros"]

    def rule(primals, tangents):
        tangents = _instantiated(primals, tangents, symbolic)
        walker.own_lines = True
        with custom_rule():
            flat = jvp.call_wrapped(*primals, *tangents)
        half = len(flat) // 2
        return flat[:half], [none_if_zero(t) for t in flat[half:]]

    return walker.through(rule, values, dots, {})


def custom_vjp(walker, primitive, values, dots, params):
    """Through the function's own forward part; its backward part becomes a map."""
    params = _bound(primitive, params)
    fun, fwd, bwd = params["subfuns"]
    values = solid(values)
    pairs = zip(values, dots, strict=True)
    flat = fwd.call_wrapped(*[x for v, d in pairs for x in (v, d is not None)])
    out_tree, residual_tree, forwarded = params["out_trees"]()
    kept = residual_tree.num_leaves - sum(f is not None for f in forwarded)
    kept_values, outs = iter(flat[:kept]), flat[kept:]
    everything = [
        next(kept_values) if place is None else values[place] for place in forwarded
    ]
    plain, residuals = held(everything)
    targets = tuple(i for i, y in enumerate(outs) if ir.differentiable(ir.typeof(y)))
    rule = Backward(
        bwd,
        (
            ir.function_key(bwd, params["out_trees"]),
            (out_tree, residual_tree, tuple(forwarded)),
        ),
        plain,
        tuple(d is not None for d in dots),
        tuple(ir.tangent_aval(ir.typeof(v)) for v in values),
        tuple(ir.tangent_aval(ir.typeof(y)) for y in outs),
        params["symbolic_zeros"],
        targets,
        settings.current(),
        name_of(fun),
    )
    ins = tuple(place for place, dot in enumerate(dots) if dot is not None)
    edge = Edge(rule, residuals, ins, targets)
    try:
        return list(outs), walker.extend([edge], dots, outs)
    except (NoTranspose, MissingRule):  # forward mode: a solver's loop, a callback
        return list(outs), _through_itself(walker, fun, values, dots)


def _through_itself(walker, fun, values, dots):
    """Tangents by the function's own operations, where its backward rule is of no use.

    A rule that iterates until its cotangent is small (an adjoint by fixed points) is a
    derivative that cannot be transposed; what it is the derivative of can be pushed
    through.
    """

    def function(*args):
        return ir.call_beside(fun, args), []

    return run_live(walker, function, values, dots)[1]


def name_of(fun) -> str:
    """`name at file:line` of a user's function that JAX has wrapped."""
    info = getattr(fun, "debug_info", None)
    return getattr(info, "func_src_info", None) or getattr(fun, "__name__", "unnamed")


def custom_lin(walker, primitive, values, dots, params):
    """JAX's own pushforward of a custom_vjp, which JAX can only transpose.

    It is linear in its tangents. Where these are open they are recorded; else it is
    computed, by the transpose of the backward rule, and that moves with what it holds.
    """
    count = params["num_res"]
    if not any(type(v) is ir.Hole for v in values):
        rule = _linear_part(params, [True] * (len(values) - count), values)

        def push(*operands):
            return rule.dense_push(held(operands[:count])[1], operands[count:]), []

        outs, out_dots, _ = run_live(walker, push, values, dots)
        return outs, out_dots
    rule = _linear_part(params, [d is not None for d in dots[count:]], values)
    ins = tuple(place for place, dot in enumerate(dots) if dot is not None)
    _, residuals = held(values[:count])
    edge = Edge(rule, residuals, ins, rule.targets)
    outs = [ir.Hole(aval) for aval in rule.out_avals]
    return outs, walker.extend([edge] if ins else [], dots, outs)


def _linear_part(params, moving, values):
    """The backward function of a custom_lin, with those of its tangents that move."""
    count = params["num_res"]
    tangents = iter(zip(moving, values[count:], strict=True))
    none = False, None
    pairs = [none if zero else next(tangents) for zero in params["in_zeros"]]
    out_avals = tuple(params["out_avals"])
    return Backward(
        params["bwd"],
        ir.function_key(params["bwd"]),
        held(values[:count])[0],
        tuple(active for active, _ in pairs),
        tuple(None if v is None else ir.typeof(v) for _, v in pairs),
        out_avals,
        params["symbolic_zeros"],
        tuple(i for i, aval in enumerate(out_avals) if ir.differentiable(aval)),
        settings.current(),
    )


def held(residuals) -> tuple[tuple, tuple]:
    """Those residuals that are no arrays, None for the others; and the others."""
    plain = tuple(r if isinstance(r, _PLAIN) else None for r in residuals)
    return plain, tuple(r for r in residuals if not isinstance(r, _PLAIN))


def _of_tangents(walker, fun, values, dots):
    """The function in the tangent part of a rule, maybe its own: it is linear there,
    and its own operations are recorded."""
    outs, out_dots, _ = run_live(
        walker, lambda *tangents: (list(fun.call_wrapped(*tangents)), []), values, dots
    )
    return outs, out_dots


def _bound(primitive, params):
    """Parameters with the functions themselves, also from an equation's."""
    return params if "subfuns" in params else ir.call_params(primitive, params)


@dataclass(slots=True, unsafe_hash=True)
class Backward(LinearMap):
    """A custom backward function: it pulls; its transpose pushes."""

    bwd: Any = field(compare=False)
    key: Any  # equal for equal functions: JAX wraps them anew at each call
    plain: tuple  # residuals that are no arrays: `bwd` may branch on them; else None
    active: tuple[bool, ...]  # per input: does it carry a tangent
    in_avals: tuple
    out_avals: tuple
    symbolic_zeros: bool
    targets: tuple[int, ...]  # the outputs that carry tangents
    options: settings.Options
    name: str = field(default="of JAX's own pushforward", compare=False)

    def pull(self, residuals, y_bars):
        whole = [None] * len(self.out_avals)
        for place, y_bar in zip(self.targets, y_bars, strict=True):
            whole[place] = y_bar
        y_bars = [
            _zero(aval, self.symbolic_zeros) if y_bar is None else y_bar
            for y_bar, aval in zip(whole, self.out_avals, strict=True)
        ]
        arrays = iter(residuals)
        whole = [next(arrays) if value is None else value for value in self.plain]
        with custom_rule():
            x_bars = ir.custom_cotangents(self.bwd, (*whole, *y_bars))
        self._note(x_bars)
        pairs = zip(self.active, x_bars, strict=True)
        return [none_if_zero(x_bar) for active, x_bar in pairs if active]

    def push(self, residuals, x_dots):
        if self.options.strict_custom_vjp:
            raise InvalidArgument(
                "forward-mode differentiation does not work for a custom_vjp function "
                "with the option `strict_custom_vjp`. Leave that out, to use the "
                "transpose of its backward rule, or define it by custom_jvp."
            )
        # The backward function is linear in the cotangent: its transpose is the
        # pushforward. It is linearised where nothing is known but the type, so that a
        # rule that is not linear cannot pass.
        at = [ir.Hole(self.out_avals[place]) for place in self.targets]

        def backward(*y_bars):
            return (self._dense(residuals, y_bars), [])

        try:
            with settings.using(self.options):
                _, program, _ = linearize_flat(backward, at, [True] * len(at))
        except NonlinearTangent as error:
            raise NonlinearTangent(
                f"the backward rule of the custom_vjp function `{self.name}` is not "
                "linear in its cotangent, so that it has no transpose to push tangents "
                "forward with. Use reverse mode (grad, vjp, jacrev), or define the "
                f"function by jax.custom_jvp. Where it is not: {error}"
            ) from error
        return program.pull(x_dots)

    def _note(self, x_bars):
        """Remembers a cotangent of a type that is not its argument's: JAX takes it, and
        so do we, but where it meets another of the right type nobody says why."""
        for place, (x_bar, aval) in enumerate(zip(x_bars, self.in_avals, strict=True)):
            dtype = getattr(x_bar, "dtype", None)
            if ir.differentiable(aval) and dtype is not None and dtype != aval.dtype:
                odd_types.append(
                    f"The backward rule of the custom_vjp function `{self.name}` gives "
                    f"a cotangent of type {dtype} for argument {place} of type "
                    f"{aval.dtype}. Convert it there with .astype."
                )

    def dense_push(self, residuals, x_dots):
        """A tangent for every output, zeros where it has none."""
        y_dots = dict(zip(self.targets, self.push(residuals, x_dots), strict=True))
        pairs = enumerate(self.out_avals)
        return [ir.zeros(a) if y_dots.get(i) is None else y_dots[i] for i, a in pairs]

    def _dense(self, residuals, y_bars):
        avals = [a for a, on in zip(self.in_avals, self.active, strict=True) if on]
        x_bars = self.pull(residuals, y_bars)
        return [
            ir.zeros(a) if x_bar is None else x_bar
            for x_bar, a in zip(x_bars, avals, strict=True)
        ]


def _zero(aval, symbolic):
    return SymbolicZero(aval) if symbolic else ir.zeros(aval)


def _instantiated(primals, tangents, symbolic):
    return [
        _zero(ir.tangent_aval(ir.typeof(x)), symbolic) if t is None else t
        for x, t in zip(primals, tangents, strict=True)
    ]


def none_if_zero(value):
    """A rule's own ways to say zero, as None."""
    if value is None or type(value) is SymbolicZero or ir.is_zero(value):
        return None
    if isinstance(value, np.ndarray) and value.dtype.names is None:
        return None if ir.typeof(value).dtype == _FLOAT0 else value
    return value


_PLAIN = bool, int, float, complex, np.generic
_FLOAT0 = ir.tangent_aval(ir.ShapedArray((), np.dtype("int32"))).dtype


def optimized_remat(walker, primitive, values, dots, params):
    """The forward part of a custom_vjp with optimize_remat, differentiated again."""
    return walker.run(params["fwd_jaxpr"], solid(values), dots)


register("custom_jvp_call", custom_jvp)
register("custom_lin", custom_lin)
register("custom_vjp_call", custom_vjp)
register("remat_opt", optimized_remat)
