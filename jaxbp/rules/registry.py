"""Which linear map a primitive has: the kinds of rules, and the table of them.

A rule is declared once and serves both modes, because it names a linear map, and the
map knows how to push and how to pull:

    elementwise(tanh_p, slope=lambda y: 1 - y * y)      # keeps the output only
    linear(rev_p, transpose=lambda y_bar, x, **params: rev_p.bind(y_bar, **params))
    bilinear(dot_p, left=left_transpose, right=right_transpose)
    general(sort_p, jvp=sort_jvp)                       # its tangent half is traced
    rewritten(cumprod_p, cumprod_by_products)           # another expression for it
    zero(floor_p)

The first argument is a primitive, or the name of one of JAX's (a name that the
installed JAX lacks is skipped). Registering a primitive twice is an error.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .. import ir
from ..errors import InvalidArgument, MissingRule
from ..linear.base import Edge, Params
from ..linear.diagonal import Broadcast, Diagonal, Scaled
from ..linear.labels import OPERATOR, Form
from ..linear.primitive import JointlyThroughPrimitive, hold
from .functions import by_function

_rules: dict[ir.Primitive, Callable] = {}
_named: dict[str, Callable] = {}  # JAX's own that are exported nowhere
_kinds: dict[str, str] = {}  # by name, of rules that do not say it themselves


# The table ------------------------------------------------------------------


def register(primitive: ir.Primitive | str, rule: Callable, kind: str = "") -> None:
    """Puts `rule` into the table.

    Args:
      primitive: a primitive, or the name of one of JAX's.
      rule: rule(walker, primitive, values, dots, params) -> (outputs, output dots).
      kind: what `kind_of` shall say of it, if the rule does not say it itself.

    Raises:
      InvalidArgument: the primitive has a rule already.
    """
    table: dict = _rules
    key: Any = primitive
    if isinstance(primitive, str):
        key = ir.primitive(primitive)
        if key is None:
            table, key = _named, primitive
    if key in table:
        raise InvalidArgument(
            f"`{key}` has a rule already: {table[key]!r}. Register a primitive once; "
            "`jaxbp.rules.unregister` removes a rule."
        )
    table[key] = by_function(rule) if str(key) == "jit" else rule
    if kind:
        _kinds[str(key)] = kind


def unregister(primitive: ir.Primitive) -> None:
    """Removes the rule of `primitive`, so that another can be registered."""
    _rules.pop(primitive)
    _kinds.pop(str(primitive), None)


def from_jax(primitive) -> bool:
    """Whether a primitive is JAX's own, by where what it runs is defined."""
    return type(primitive).__module__.startswith("jax.") and getattr(
        getattr(primitive.impl, "func", primitive.impl), "__module__", ""
    ).startswith("jax.")


def lookup(primitive: ir.Primitive) -> Callable | None:
    """The rule of `primitive`, or None."""
    rule = _rules.get(primitive)
    if rule is None and primitive.name in _named and from_jax(primitive):
        rule = _rules[primitive] = _named[primitive.name]
    return rule


def kind_of(primitive: ir.Primitive) -> str:
    """What a primitive does, as its rule knows: from this costs and structure follow.

    Returns:
      "elementwise"; of linear ones "moves", "repeats", "sums", "contracts" or
      "operator"; "zero" where no derivative passes; "program" where the rule walks a
      program or a formula; "" of a primitive without a rule.
    """
    rule = lookup(primitive)
    known = "" if rule is None else getattr(rule, "kind", "program")
    return _kinds.get(str(primitive), known)


def table() -> dict[str, Callable]:
    """All rules by the names of their primitives."""
    return _named | {primitive.name: rule for primitive, rule in _rules.items()}


def known() -> frozenset[str]:
    """Names of all primitives that have a rule."""
    return frozenset(table())


def missing(primitive: ir.Primitive) -> MissingRule:
    """The error for a primitive without a rule, or with one that options forbid."""
    remedy = "Register one: `jaxbp.rules.elementwise(primitive, slope=lambda x: ...)`"
    if ir.jax_differentiates(primitive):
        remedy += ', or allow JAX\'s own: `with jaxbp.foreign("jax"): ...`'
    else:
        remedy += (
            ", for example, or give the function that uses it a derivative by "
            "jax.custom_jvp or jax.custom_vjp. JAX has no rule for it, either"
        )
    return MissingRule(f"no rule for primitive `{primitive.name}`. {remedy}.")


# The kinds ------------------------------------------------------------------


def _operands(function: Callable) -> tuple[tuple[int, ...], bool]:
    """What a slope reads, from its parameters' names: operands, -1 the output."""
    names = list(inspect.signature(function).parameters)
    places = [n for n in names if n != "params"]
    for name in places:
        if name not in ("x", "y") and not (name[0] == "x" and name[1:].isdigit()):
            raise InvalidArgument(
                f"a slope's parameters are named `x` (the operand), `x0`, `x1`, ..., "
                f"`y` (the output) or `params`, but {function!r} has `{name}`."
            )
    read = {"x": 0, "y": -1}
    return tuple(read[n] if n in read else int(n[1:]) for n in places), (
        "params" in names
    )


class _Partial:
    """The derivative of an elementwise function by one operand."""

    def __init__(self, slope):
        self.instead = None
        if type(slope) is tuple:
            slope, instead = slope
            self.instead = _Partial(instead)
        self.slope, self.places, takes_params = slope, (), False
        self.map: Diagonal | Scaled | None = None  # the same whatever the parameters
        if callable(slope):
            self.places, takes_params = _operands(slope)
        if not takes_params:
            self.map = Diagonal(slope) if callable(slope) else Scaled(slope)

    def edge(self, place, values, y, params) -> Edge:
        """The edge from the operand at `place` to the output `y`."""
        linear_map: Any = self.map or Diagonal(self.slope, Params(params))
        shape, out_shape = ir.typeof(values[place]).shape, ir.typeof(y).shape
        if shape != out_shape:
            linear_map = Broadcast(linear_map, shape, out_shape)
        residuals = tuple([y if p < 0 else values[p] for p in self.places])
        edge = Edge(linear_map, residuals, (place,), (0,))
        if self.instead is not None:
            other = self.instead.edge(place, values, y, params)
            edge = edge._replace(instead=(other.map, other.residuals))
        return edge


class Elementwise:
    """y_i = f(x0_i, x1_i, ...): a slope per operand."""

    kind = "elementwise"

    def __init__(self, slopes: Sequence):
        self.partials = [None if s is None else _Partial(s) for s in slopes]
        self.nonlinear = any(callable(s) or type(s) is tuple for s in slopes)

    def __call__(self, walker, primitive, values, dots, params):
        if params.get("out_dtype") is not None:
            return _converted(walker, primitive, values, dots, params)
        (y,) = ir.evaluate(primitive, values, params)
        if not ir.differentiable(ir.typeof(y)):
            return [y], [None]
        edges = [
            partial.edge(place, values, y, params)
            for place, (dot, partial) in enumerate(
                zip(dots, self.partials, strict=True)
            )
            if dot is not None and partial is not None
        ]
        return [y], walker.extend(edges, dots, [y])


class Linear:
    """The primitive is linear in some operands together, the others are held."""

    @property
    def kind(self) -> str:
        return self.form.kind

    def __init__(self, transpose, operands=(0,), form: Form = OPERATOR):
        self.transpose, self.places, self.form = transpose, operands, form

    def __call__(self, walker, primitive, values, dots, params):
        outs = ir.evaluate(primitive, values, params)
        targets = tuple(
            [i for i, y in enumerate(outs) if ir.differentiable(ir.typeof(y))]
        )
        linear = self.places
        if linear is None:
            linear = [
                i for i, v in enumerate(values) if ir.differentiable(ir.typeof(v))
            ]
        active = tuple(p for p in linear if dots[p] is not None)
        if not active or not targets:
            return outs, [None] * len(outs)
        params = Params(params)
        if len(linear) == 1 and not primitive.multiple_results:
            edge_map, residuals = hold(
                primitive, values, params, active[0], self.transpose, self.form
            )
        else:
            avals = tuple(
                ir.typeof(v) if i in linear else None for i, v in enumerate(values)
            )
            residuals = tuple(
                v for v, a in zip(values, avals, strict=True) if a is None
            )
            edge_map = JointlyThroughPrimitive(
                primitive, params, self.transpose, avals, active, targets, self.form
            )
        edge = Edge(edge_map, residuals, active, targets)
        return outs, walker.extend([edge], dots, outs)


class Bilinear:
    """The primitive is linear in each of its first operands with the others held."""

    @property
    def kind(self) -> str:
        return self.form.kind

    def __init__(self, transposes, form: Form):
        self.transposes, self.form = transposes, form

    def __call__(self, walker, primitive, values, dots, params):
        outs = ir.evaluate(primitive, values, params)
        if not ir.differentiable(ir.typeof(outs[0])):
            return outs, [None]
        params = Params(params)
        edges = []
        for place, transpose in enumerate(self.transposes):
            if dots[place] is not None:
                edge_map, residuals = hold(
                    primitive, values, params, place, transpose, self.form
                )
                edges.append(Edge(edge_map, residuals, (place,), (0,)))
        return outs, walker.extend(edges, dots, outs)


class General:
    """The rule is a function of primals and tangents, linear in the tangents."""

    def __init__(self, jvp):
        self.jvp = jvp

    def __call__(self, walker, primitive, values, dots, params):
        jvp = self.jvp if primitive.multiple_results else self._listed
        return walker.through(jvp, values, dots, params)

    def _listed(self, primals, tangents, **params):
        y, y_dot = self.jvp(primals, tangents, **params)
        return [y], [y_dot]


class Rewritten:
    """The derivative is that of another expression for the same value.

    The value itself stays the primitive's own: the expression may round otherwise, and
    where it is not needed for the derivative no compiler keeps it. With `gives_value`
    it is the expression's: it is computed anyway, and once is enough.
    """

    def __init__(self, function, gives_value: bool = False):
        self.function, self.gives_value = function, gives_value

    def __call__(self, walker, primitive, values, dots, params):
        avals = tuple(map(ir.typeof, values))
        program = ir.traced(self.function, Params(params), avals)
        outs, dots = walker.run(program, values, dots)
        if self.gives_value or any(type(v) is ir.Hole for v in values):
            return outs, dots
        return ir.evaluate(primitive, values, params), dots


# `lax.mul(x0, x1, out_dtype=...)`, and what else has that parameter: its operands, of
# any types, are converted first.
def _in_out_dtype(*operands, primitive, out_dtype, **params):
    converted = [ir.cast(x, out_dtype) for x in operands]
    return primitive.bind(*converted, out_dtype=None, **params)


def _converted(walker, primitive, values, dots, params):
    avals = tuple(map(ir.typeof, values))
    program = ir.traced(_in_out_dtype, Params(params | {"primitive": primitive}), avals)
    return walker.run(program, values, dots)


class ZeroRule:
    """The derivative is zero, or the output carries none."""

    kind = "zero"

    def __call__(self, walker, primitive, values, dots, params):
        outs = ir.evaluate(primitive, values, params)
        return outs, [None] * len(outs)


MOVES = Form("moves")
SCATTERS = Form("moves", scatters=True)

# Declarations ---------------------------------------------------------------


def elementwise(primitive, *, slope=None, slopes=None):
    """Declares y_i = f(x0_i, ...), by its slope or slopes.

    Args:
      primitive: a primitive or the name of one of JAX's.
      slope: for one operand: a function of `x` (the operand) or `y` (the output), and
        of `params` if it needs them. It keeps only what it names. A boolean slope is a
        mask; a number is a constant slope; a slope that gives a tuple is the product
        of its factors, and those that are as short as an operand that was broadcast
        are multiplied where it is short.
      slopes: for several operands: one a piece, of `x0`, `x1`, ..., `y`; None where the
        derivative is zero. A pair of functions is one slope from other arrays: the
        second is taken where what it names is kept already.
    """
    register(primitive, Elementwise((slope,) if slopes is None else slopes))


def linear(primitive, *, transpose, operands=(0,), form: Form = OPERATOR):
    """Declares a primitive linear in `operands` together (None: all floating ones).

    Args:
      transpose: transpose(y_bar, *operands, **params): linear operands come as types,
        held ones as values; gives x_bar for one linear operand, else a list with one
        cotangent per operand (None for those held).
      form: what kind of linear operation it is: `MOVES` of one that leaves elements as
        they are, or a `Form` with the labels of its axes. Else it is an operator, known
        by its two directions alone.
    """
    register(primitive, Linear(transpose, operands, form))


def bilinear(primitive, *, left, right, form: Form = OPERATOR):
    """Declares a primitive linear in each of its two operands.

    Args:
      left: left(y_bar, x0 (a type), x1, **params) -> x0_bar.
      right: right(y_bar, x0, x1 (a type), **params) -> x1_bar.
    """
    register(primitive, Bilinear((left, right), form))


def general(primitive, *, jvp):
    """Declares a primitive by its pushforward; reverse mode is its transpose.

    Args:
      jvp: jvp(primals, tangents, **params) -> (outputs, output tangents), as lists for
        primitives with several results. A zero tangent is None, in and out. It must be
        linear in the tangents and made of primitives that have rules.
    """
    register(primitive, General(jvp))


def rewritten(primitive, function, *, gives_value: bool = False):
    """Declares a primitive by another expression for its value.

    Args:
      function: function(*operands, **params) -> outputs, made of primitives that have
        rules. It is traced once per type of the operands.
      gives_value: the value is the expression's too, where it is differentiated.
    """
    register(primitive, Rewritten(function, gives_value))


def zero(*names):
    """Declares primitives whose derivative is zero or whose output carries none."""
    for primitive in names:
        register(primitive, ZeroRule())
