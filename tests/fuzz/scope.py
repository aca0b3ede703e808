"""A program under construction: statements of plain JAX source, run as they are drawn.

Every statement is a line of Python that is executed at once on the program's own
values. So a row of a table sees the numbers that it is given and can keep away from
kinks and poles; and what is printed when a program fails is what ran.
"""

import itertools
import re
import textwrap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax

from tests.fuzz.domains import ANY
from tests.fuzz.interpret import evaluate

LARGEST = 1e3  # no value of a program is larger: what it computes stays well scaled
SIZE = 24  # elements of the largest value
NAME = re.compile(r"\b[a-z]+\d+\b")

REAL = (np.float64, np.float32, jnp.bfloat16)
WIDE = (np.float64, np.float32)
COMPLEX = (np.complex128, np.complex64)
BOTH = (*WIDE, *COMPLEX)
FLOATS = (*REAL, *COMPLEX)
INTEGERS = (np.int32,)


class Unfit(Exception):
    """No value in scope suits the row that was drawn."""


class Value(NamedTuple):
    """A name of the program and what it holds at the program's own inputs."""

    name: str
    array: np.ndarray

    def __str__(self):
        return self.name

    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.array.dtype

    @property
    def ndim(self):
        return self.array.ndim

    @property
    def size(self):
        return self.array.size

    def like(self, other) -> bool:
        return self.shape == other.shape and self.dtype == other.dtype


class Statement(NamedTuple):
    """`names = text`, or, for a function, its whole definition."""

    names: tuple[str, ...]
    text: str
    defines: bool = False

    def uses(self) -> set:
        return set(NAME.findall(self.text)) - set(self.names)

    def lines(self) -> str:
        return self.text if self.defines else f"{', '.join(self.names)} = {self.text}"


class Scope:
    """The body of a function that grows by statements.

    Args:
      draw: Hypothesis's draw.
      arguments: its Values.
      outer: the scope around it, or None.
      closed: whether it may not use what is around it.
    """

    def __init__(self, draw, arguments, outer=None, closed=False):
        self.draw, self.outer, self.closed = draw, outer, closed
        self.arguments = list(arguments)
        self.values = list(arguments)
        self.statements: list[Statement] = []
        self.counter = outer.counter if outer else itertools.count()
        self.modes = outer.modes if outer else set(("jvp", "vjp"))
        self.depth = outer.depth + 1 if outer else 0

    # What rows draw ----------------------------------------------------------------

    def of(self, options):
        """One of some options; Hypothesis shrinks towards the first."""
        options = list(options)
        if not options:
            raise Unfit
        return options[self.draw(st.integers(0, len(options) - 1))]

    def int(self, low, high):
        return self.draw(st.integers(low, high))

    def value(self, domain=ANY, dtypes=FLOATS, fits=lambda v: True) -> Value:
        """A value in scope, brought into `domain` by a statement if need be."""
        found = [v for v in self.visible() if v.dtype in dtypes and fits(v)]
        value = self.of(found[::-1])
        # The numbers of a body are not those of every step that it will run.
        if domain is ANY or (self.depth == 0 and domain.holds(value.array)):
            return value
        text = domain.into(self, value)
        return self.state(text)[0]

    def like(self, other, domain=ANY) -> Value:
        """A value of the type of `other`."""
        return self.value(domain, FLOATS + INTEGERS, lambda v: v.like(other))

    def visible(self):
        around = self.outer and not self.closed
        return (self.outer.visible() if around else []) + self.values

    def only(self, mode):
        """Says that JAX has no other mode through what is to be stated."""
        if mode not in self.modes:
            raise Unfit
        self.modes.intersection_update({mode})

    def needs(self, *modes):
        """Says that what is to be stated takes JAX through the program by modes."""
        if not self.modes.issuperset(modes):
            raise Unfit

    # Statements --------------------------------------------------------------------

    def name(self, letter) -> str:
        return f"{letter}{next(self.counter)}"

    def state(self, text) -> list[Value]:
        """Adds `names = text` and gives its values; Unfit if they grow too large."""
        arrays, many = self.run(text)
        for x in arrays:
            if x.dtype == jax.dtypes.float0:  # the tangent of an integer
                raise Unfit
            real = np.asarray(np.abs(x), np.float64)
            if x.size > SIZE or not np.all(real < LARGEST):
                raise Unfit
        names = tuple(self.name("v") for _ in arrays)
        values = [Value(n, x) for n, x in zip(names, arrays, strict=True)]
        self.statements.append(Statement(names if many else names[:1], text))
        self.values += values
        return values

    def run(self, text) -> tuple[list[np.ndarray], bool]:
        """The arrays that an expression gives here, and whether it is a tuple."""
        values = self.visible()
        many = []

        def call(arrays):
            space = namespace(jax)
            space.update(zip([v.name for v in values], arrays, strict=True))
            exec(self.functions(), space)
            out = eval(text, space)
            many.append(isinstance(out, (tuple, list)))
            return list(out) if many[0] else [out]

        arrays = [v.array for v in values]
        try:
            return evaluate(jax.make_jaxpr(call)(arrays), arrays), many[0]
        except Exception as error:  # the table's row is wrong: say what it wrote
            shapes = {v.name: v.array.shape for v in values}
            error.add_note(f"{self.functions()}{text}  # of {shapes}")
            raise

    def define(self, name, text):
        """Adds the definition of a function."""
        self.statements.append(Statement((name,), text, True))

    def functions(self) -> str:
        """The source of all functions in scope."""
        outer = self.outer.functions() if self.outer else ""
        return outer + "".join(s.text + "\n" for s in self.statements if s.defines)

    def function(self, samples, results=None, closed=False) -> str:
        """Defines a function of arguments like `samples`; gives its name.

        Args:
          samples: arrays to try its statements on.
          results: one argument's place per output, whose type the output is to have;
            None for a single output of any type.
          closed: whether it may not use what is around it.
        """
        arguments = [Value(self.name("a"), np.asarray(x)) for x in samples]
        body = Scope(self.draw, arguments, self, closed)
        self.grow(body, 3)
        if results is None:
            outs = [body.values[-1]]
        else:
            outs = [body.latest(like=arguments[place]) for place in results]
        name = self.name("f")
        self.define(name, body.source(name, outs))
        return name

    def latest(self, like) -> Value:
        return [v for v in self.values if v.like(like)][-1]

    def source(self, name, outs, parameters=None, unpack=()) -> str:
        """The function's definition, without the statements that nothing uses.

        Args:
          outs: the Values that it returns.
          parameters: names of its parameters, its arguments by default; with them it
            returns a list.
          unpack: Values that its first parameter is a tuple of.
        """
        lines = live(self.statements, [v.name for v in outs])
        if any(v.name in line for v in unpack for line in lines):
            lines.insert(0, f"{', '.join(map(str, unpack))} = {parameters[0]}")
        result = ", ".join(map(str, outs))
        lines.append(f"return [{result}]" if parameters else f"return {result}")
        names = ", ".join(parameters or map(str, self.arguments))
        return f"def {name}({names}):\n" + textwrap.indent("\n".join(lines), "    ")

    grow = None  # set by `programs`, which knows the tables


def live(statements, names) -> list[str]:
    """The lines of those statements that the names depend on."""
    needed, kept = set(names), []
    for statement in reversed(statements):
        if needed.intersection(statement.names):
            needed.update(statement.uses())
            kept.append(statement.lines())
    return kept[::-1]


def namespace(ad) -> dict:
    """What a program's source may use; `ad` gives the derivatives inside of it."""
    return {"jax": jax, "jnp": jnp, "lax": lax, "np": np, "ad": ad}
