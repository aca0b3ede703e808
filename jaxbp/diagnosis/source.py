"""The user's expression at a line, as it is written."""

import ast
import functools
import linecache
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# How the operations are called, or written, in source code.
CALLS = {
    "sqrt": ("sqrt", "norm", "std", "hypot"),
    "rsqrt": ("rsqrt",),
    "cbrt": ("cbrt",),
    "log": ("log", "log2", "log10"),
    "log1p": ("log1p",),
    "pow": ("power", "pow", "float_power"),
    "integer_pow": ("power", "pow", "integer_pow", "reciprocal"),
    "div": ("divide", "true_divide", "div", "mean"),
    "asin": ("arcsin", "asin"),
    "acos": ("arccos", "acos"),
    "acosh": ("arccosh", "acosh"),
    "atanh": ("arctanh", "atanh"),
    "atan2": ("arctan2", "atan2"),
    "exp": ("exp",),
    "exp2": ("exp2",),
    "expm1": ("expm1",),
    "norm": ("norm",),
    "hypot": ("hypot",),
    "logsumexp": ("logsumexp",),
    "tan": ("tan",),
}
OPERATORS = {
    "div": ast.Div,
    "pow": ast.Pow,
    "integer_pow": ast.Pow,
    "sub": ast.Sub,
}


class Written(NamedTuple):
    """An operation in the source.

    Fields:
      text: the whole expression. function: how it is called there, "" of an operator.
      operands: its positional operands. options: its keyword arguments, as written.
      parts: `text` around each operand: (before, behind).
      names: of the variables that the statement assigns.
    """

    text: str
    function: str
    operands: tuple[str, ...]
    options: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]
    names: tuple[str, ...]


def operation_at(line: str, primitive: str, column: int | None) -> Written | None:
    """The expression of an operation; None where it is not found, or where the line
    holds several of its kind and nothing tells which it is."""
    found = list(_operations(line, primitive))
    if len({w.text for _, w in found}) > 1 and column is not None:
        found = [(at, w) for at, w in found if at == column]
    return found[0][1] if len({w.text for _, w in found}) == 1 else None


def calls_at(line: str, names: Iterable[str]) -> list[Written]:
    """The calls of some functions at a line."""
    return [w for name in names for _, w in _operations(line, name)]


def where_at(line: str) -> tuple[str, str, str] | None:
    """Condition and cases of the one `where` at a line."""
    found = [
        tuple(_text(line, a) for a in node.args)
        for node in _nodes(line)
        if isinstance(node, ast.Call) and _name(node) == "where" and len(node.args) == 3
    ]
    return found[0] if len(found) == 1 else None  # pyright: ignore


class Function:
    """The function that a line stands in.

    Attributes:
      number: of the line.
    """

    def __init__(self, line: str, node: ast.AST):
        self.line, self.number, self._node = line, _place(line)[1], node
        assigned: dict[str, list] = {}
        for one in ast.walk(node):
            for target in _targets(one):
                plain = isinstance(one, ast.Assign) and target in one.targets
                value = one.value if plain else None  # pyright: ignore
                assigned.setdefault(target.id, []).append(value)
        self._values = {
            name: values[0] for name, values in assigned.items() if len(values) == 1
        }
        self._changes = {name for name, values in assigned.items() if len(values) > 1}

    @classmethod
    def at(cls, line: str) -> "Function":
        """The innermost around a line; the whole file where there is none."""
        path, number = _place(line)
        around = [
            node
            for node in _functions(path)
            if node.lineno <= number <= (node.end_lineno or node.lineno)
        ]
        found = max(around, key=lambda node: node.lineno, default=_tree(path))
        return cls(line, found)

    def expressions(self) -> Iterator[ast.expr]:
        """Its expressions, outer ones first."""
        return (node for node in ast.walk(self._node) if isinstance(node, ast.expr))

    def meant(self, node: ast.expr) -> ast.expr:
        """What a name stands for that is assigned but once, of names that do not
        change; all else as it is."""
        while isinstance(node, ast.Name) and self._values.get(node.id) is not None:
            value = self._values[node.id]
            names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
            if names & self._changes or node.id in names:
                break
            node = value
        return node

    def text(self, node: ast.AST) -> str:
        """As it is written, on one line."""
        return _text(self.line, node)


@functools.lru_cache(maxsize=32)
def _functions(path: str) -> list:
    """The functions that a file defines."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in _walked(path) if isinstance(node, kinds)]


def called(
    function: Function, node: ast.Call
) -> tuple[str, list, list[tuple[str, ast.expr]]]:
    """Name, operands and keyword arguments of a call; what has a method is the first
    operand."""
    operands = list(node.args)
    if isinstance(node.func, ast.Attribute) and _is_array(
        function.line, node.func.value
    ):
        operands = [node.func.value, *operands]
    return _name(node), operands, [(k.arg or "", k.value) for k in node.keywords]


def _targets(node: ast.AST) -> Iterator[ast.Name]:
    """The names that a statement or an expression gives a value to."""
    return (
        n
        for n in ast.iter_child_nodes(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    )


def _operations(line: str, primitive: str) -> Iterator[tuple[int, Written]]:
    """(column, expression) of each that may be it."""
    names = CALLS.get(primitive, (primitive,))
    for node in _nodes(line):
        if isinstance(node, ast.Call) and _name(node) in names:
            operands = node.args
            if isinstance(node.func, ast.Attribute) and _is_array(
                line, node.func.value
            ):
                operands = [node.func.value, *operands]  # x.std(0)
            yield node.col_offset, _written(line, node, operands)
        elif isinstance(node, ast.BinOp):
            if isinstance(node.op, OPERATORS.get(primitive, ())):
                operands = [node.left, node.right]
                yield node.col_offset, _written(line, node, operands)


_MODULES = {"jnp", "np", "jax", "lax", "numpy", "scipy", "jsp"}


def _is_array(line: str, node: ast.expr) -> bool:
    """Whether what has a method is no module, as far as the file says."""
    root = node
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return True
    path, _ = _place(line)
    return root.id not in _imported(path) | _MODULES


@functools.lru_cache(maxsize=32)
def _imported(path: str) -> frozenset[str]:
    """The names that a file imports."""
    return frozenset(
        (alias.asname or alias.name).partition(".")[0]
        for one in _walked(path)
        if isinstance(one, ast.Import | ast.ImportFrom)
        for alias in one.names
    )


def _written(line: str, node, operands) -> Written:
    text = functools.partial(_text, line)
    keywords = getattr(node, "keywords", ())
    return Written(
        text(node),
        _name(node) if isinstance(node, ast.Call) else "",
        tuple(map(text, operands)),
        tuple(f"{k.arg}={text(k.value)}" for k in keywords),
        tuple(_around(line, node, operand) for operand in operands),
        tuple(_assigned(line)),
    )


def _around(line: str, node, operand) -> tuple[str, str]:
    """What stands before and behind an operand in its expression, on one line."""
    path, _ = _place(line)
    lines = linecache.getlines(path)

    def between(first, last):
        taken = lines[first[0] - 1 : last[0]]
        taken[-1] = taken[-1].encode()[: last[1]].decode()
        taken[0] = taken[0].encode()[first[1] :].decode()
        return " ".join("".join(taken).split("\n")).strip("\n")

    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    before = between(start, (operand.lineno, operand.col_offset))
    return before, between((operand.end_lineno, operand.end_col_offset), end)


def _assigned(line: str) -> Iterator[str]:
    """Names that the statement at a line assigns."""
    path, number = _place(line)
    for node in _walked(path):
        if isinstance(node, ast.Assign):
            if node.lineno <= number <= (node.end_lineno or node.lineno):
                for target in node.targets:
                    yield from (
                        n.id for n in ast.walk(target) if isinstance(n, ast.Name)
                    )


@functools.lru_cache(maxsize=256)
def _nodes(line: str) -> tuple[ast.AST, ...]:
    """The expressions that stand at a line, or around it."""
    path, number = _place(line)
    return tuple(
        node
        for node in _walked(path)
        if isinstance(node, ast.expr)
        and node.lineno <= number <= (node.end_lineno or node.lineno)
    )


def _place(line: str) -> tuple[str, int]:
    place = line.partition(" (")[0]
    path, _, number = place.rpartition(":")
    return (path, int(number)) if number.isdigit() else (place, 0)


@functools.lru_cache(maxsize=32)
def _tree(path: str) -> ast.AST:
    try:
        return ast.parse("".join(linecache.getlines(path)))
    except SyntaxError:  # a cell of a notebook, a file that has changed
        return ast.Module([], [])


@functools.lru_cache(maxsize=32)
def _walked(path: str) -> tuple[ast.AST, ...]:
    """All nodes of a file, outer ones first."""
    return tuple(ast.walk(_tree(path)))


def _name(node: ast.Call) -> str:
    function = node.func
    return getattr(function, "attr", None) or getattr(function, "id", "")


def in_brackets(text: str) -> str:
    """An expression so that an operator may stand behind it."""
    whole = ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant
    try:
        simple = isinstance(ast.parse(text, mode="eval").body, whole)
    except SyntaxError:
        simple = False
    return text if simple else f"({text})"


def _text(line: str, node: ast.AST) -> str:
    """As it is written, on one line."""
    first, last = node.lineno, node.end_lineno or node.lineno  # pyright: ignore
    lines = linecache.getlines(_place(line)[0])[first - 1 : last]
    lines[-1] = lines[-1].encode()[: node.end_col_offset].decode()  # pyright: ignore
    lines[0] = lines[0].encode()[node.col_offset :].decode()  # pyright: ignore
    text = "".join(lines)
    return " ".join(text.split())
