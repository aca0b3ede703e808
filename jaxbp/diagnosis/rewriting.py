"""Formulas written by hand that grow too large or lose all digits, and the functions
that stand for them.

jnp.log(1 + jnp.exp(x)) is jax.nn.softplus(x), whose value and slope are finite wherever
x is. A formula is known again over several lines, if its parts have names.
"""

import ast
import functools
from typing import Any, NamedTuple

from .report import Birth
from .source import CALLS, OPERATORS, Function, called, in_brackets

# (how it is written by hand, what stands for it, where it is finite if not wherever its
# operands are): capital letters are operands, `**K` is what else a function is given.
_AT_INF = ", whose slope is finite, also at -inf"
_ABOVE = ", which is finite where {A} is, above 0"
_BETTER = (
    ("log(sum(exp(A), **K))", "jax.nn.logsumexp({A}{K})", ""),
    ("log(1 + exp(A))", "jax.nn.softplus({A})", ""),
    ("log1p(exp(A))", "jax.nn.softplus({A})", ""),
    ("M + log(exp(A - M) + exp(B - M))", "jnp.logaddexp({A}, {B})", _AT_INF),
    ("log(exp(A) + exp(B))", "jnp.logaddexp({A}, {B})", ""),
    ("log(exp(A) - 1)", "({A} + jnp.log(-jnp.expm1({-A})))", _ABOVE),
    ("log(softmax(A, **K))", "jax.nn.log_softmax({A}{K})", ""),
    ("log(softmax(A, **K)[I])", "jax.nn.log_softmax({A}{K})[{I}]", ""),
    ("log(exp(A) / sum(exp(A), **K))", "jax.nn.log_softmax({A}{axis})", ""),
    ("log(sigmoid(A))", "jax.nn.log_sigmoid({A})", ""),
    ("log(1 - sigmoid(A))", "jax.nn.log_sigmoid({-A})", ""),
    ("log(cosh(A))", "(jnp.logaddexp({A}, {-A}) - jnp.log(2.0))", ""),
    ("exp(A) / sum(exp(A), **K)", "jax.nn.softmax({A}{axis})", ""),
    ("exp(A) / (1 + exp(A))", "jax.nn.sigmoid({A})", ""),
    ("1 / (1 + exp(A))", "jax.nn.sigmoid({-A})", ""),
    ("(exp(A) - exp(-A)) / (exp(A) + exp(-A))", "jnp.tanh({A})", ""),
    ("(exp(2 * A) - 1) / (exp(2 * A) + 1)", "jnp.tanh({A})", ""),
    ("sin(A) / A", "jnp.sinc({(A)} / jnp.pi)", ""),
)
_COMMUTE = (ast.Add, ast.Mult)


class Better(NamedTuple):
    """A formula, and what stands for it.

    Fields:
      old, new: as written, and instead.
      why: where it is finite.
    """

    old: str
    new: str
    why: str


def better(birth: Birth) -> Better | None:
    """The first formula known that a birth's operation is part of."""
    function = Function.at(birth.within or birth.line)
    for pattern, instead, where in _BETTER:
        wanted = _parsed(pattern)
        if not _has(wanted, birth.primitive):
            continue
        for node in function.expressions():
            match = _Match(function)
            if match.same(wanted, node) and function.number in match.lines:
                return match.better(node, instead, where)
    return None


@functools.cache
def _parsed(pattern: str) -> ast.expr:
    return ast.parse(pattern, mode="eval").body


def _has(pattern: ast.expr, primitive: str) -> bool:
    """Whether an operation is one of a pattern's."""
    names = {n.func.id for n in ast.walk(pattern) if isinstance(n, ast.Call)}  # pyright: ignore
    operators = OPERATORS.get(primitive, ())
    found = any(
        isinstance(n.op, operators)
        for n in ast.walk(pattern)
        if isinstance(n, ast.BinOp)
    )
    parts = {"softmax": ("exp", "div"), "sigmoid": ("logistic",)}
    known = names.union(*(parts.get(name, ()) for name in names))
    return found or bool(known & set(CALLS.get(primitive, (primitive,))))


class _Match:
    """One try to see a pattern in an expression."""

    def __init__(self, function: "Function"):
        self.function = function
        self.bound: dict[str, ast.expr] = {}
        self.options: list[tuple[str, ast.expr]] = []
        self.lines: set[int] = set()

    def same(self, wanted: Any, node: Any) -> bool:
        if isinstance(wanted, ast.Name) and len(wanted.id) == 1:
            return self._bind(wanted.id, node)
        node = self.function.meant(node)
        self.lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(wanted, ast.Constant):
            return isinstance(node, ast.Constant) and node.value == wanted.value
        if isinstance(wanted, ast.Call):
            return self._call(wanted, node)
        if type(wanted) is not type(node):
            return False
        if isinstance(wanted, ast.UnaryOp):
            same = type(wanted.op) is type(node.op)
            return same and self.same(wanted.operand, node.operand)
        if isinstance(wanted, ast.Subscript):
            return self.same(wanted.value, node.value) and self._bind("I", node.slice)
        if isinstance(wanted, ast.BinOp) and type(wanted.op) is type(node.op):
            return self._pair(wanted, node)
        return False

    def _bind(self, name: str, node: ast.expr) -> bool:
        if name in self.bound:
            return ast.dump(self.bound[name]) == ast.dump(node)
        self.bound[name] = node
        return True

    def _pair(self, wanted: ast.BinOp, node: ast.BinOp) -> bool:
        kept = dict(self.bound), list(self.options), set(self.lines)
        orders = [(node.left, node.right)]
        if isinstance(wanted.op, _COMMUTE):
            orders.append((node.right, node.left))
        for left, right in orders:
            if self.same(wanted.left, left) and self.same(wanted.right, right):
                return True
            bound, options, lines = kept
            self.bound, self.options, self.lines = (
                dict(bound),
                list(options),
                set(lines),
            )
        return False

    def _call(self, wanted: ast.Call, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call):
            return False
        name, operands, options = called(self.function, node)
        assert isinstance(wanted.func, ast.Name)
        takes_more = bool(wanted.keywords)
        count = len(wanted.args)
        if name != wanted.func.id or len(operands) < count:
            return False
        more = operands[count:]
        if (more or options) and not takes_more or len(more) > 1:
            return False
        self.options += [("axis", m) for m in more] + options
        return all(map(self.same, wanted.args, operands))

    def better(self, node: ast.expr, instead: str, where: str) -> Better:
        text = self.function.text
        texts = {name: text(n) for name, n in self.bound.items()}
        options = list(dict((key, text(n)) for key, n in self.options).items())
        axis = next(
            (f", axis={t}" for key, t in options if key == "axis"), ", axis=None"
        )
        fields = {f"{{{name}}}": t for name, t in texts.items()}
        fields |= {f"{{({name})}}": in_brackets(t) for name, t in texts.items()}
        fields |= {f"{{-{name}}}": _minus(t) for name, t in texts.items()}
        fields["{K}"] = "".join(f", {key}={t}" for key, t in options)
        fields["{axis}"] = axis
        new = instead
        for field, t in fields.items():
            new = new.replace(field, t)
        of = [f"`{t}`" for name, t in texts.items() if name not in "IM"]
        be = "is" if len(of) == 1 else "are"
        why = where or f", which is finite where {' and '.join(of)} {be}"
        return Better(text(node), new, why.replace("{A}", f"`{texts['A']}`"))


def _minus(text: str) -> str:
    tree = ast.parse(text, mode="eval").body
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return ast.get_source_segment(text, tree.operand) or text[1:]
    return f"-{in_brackets(text)}"
