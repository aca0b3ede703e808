"""Edges of the graph: sums of terms and operators, and their products."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .. import ir
from ..control.solve import Solve
from ..linear.diagonal import Broadcast, Diagonal, Scaled
from ..linear.parts import Part
from .absorbed import absorbed
from .edges import Operator
from .expand import columns, dense, of_array
from .factor import Factor, is_number, is_product, summed, union
from .loops import whole_map
from .made import again
from .memory import apart
from .places import Label
from .singles import split
from .term import Met, Term, composed, identity, is_diagonal, meet, merged
from .work import Work

ROW = 2.5  # columns' worth of a row in time, in code without large products
HEAVY = 5e3  # flops of a product, all columns together, from which on it is large
APART = 3  # times the flops' time of small products apart, one an example
AGAIN = 1.7  # times the elements of a matrix that is a product element by element
MOST_TERMS = 16  # of a sum that is kept as one,
MOST_LAST = 64  # of one that is not multiplied any more
HELD = 4  # times the entries of a diagonal, of blocks that it is added to
LARGEST_PLAIN = 1 << 22  # elements of an array that takes their place
DIAGONALS = Diagonal, Scaled, Broadcast


class Block(NamedTuple):
    """The Jacobian between two vertices: a sum."""

    terms: tuple[Term, ...] = ()
    operators: tuple[Operator, ...] = ()

    def __bool__(self):
        return bool(self.terms or self.operators)


def plus(block: Block, other: Block, work: Work) -> Block:
    """The sum; terms at the same places become one."""
    terms = (*block.terms, *other.terms)
    if len(terms) > 1 and block.terms and other.terms:
        found = merged(terms, work.dtype)
        if len(found) < len(terms):
            work.elements(max(term.factor.size for term in found))
        terms = tuple(found)
    return Block(terms, (*block.operators, *other.operators))


def narrowed(block: Block, y: tuple, x: tuple, last: bool, work: Work) -> Block:
    """A plain array in the place of many terms, where it is small enough.

    Args:
      last: nothing is multiplied with it any more: more terms stay apart, so that
        they are written at once.
    """
    size, count = math.prod((*y, *x)), len(block.terms)
    if count <= MOST_TERMS or size > LARGEST_PLAIN or (last and count <= MOST_LAST):
        return block
    if last and not split(block.terms, (*y, *x))[1]:
        return block
    work.plain = True
    plain = of_array(array_of(Block(block.terms), y, x, work), y, x)
    return Block((plain,), block.operators)


def joined(block: Block, work: Work) -> Block:
    """With diagonals in the blocks that hold them: what is multiplied with both is
    multiplied with one array."""
    arrays = [t for t in block.terms if t.factor.labels and t.factor.size == t.entries]
    found = absorbed(arrays, work.dtype, HELD) if len(arrays) > 1 else arrays
    if len(found) == len(arrays):
        return block
    work.joined = True
    work.elements(max(term.entries for term in found))
    others = [t for t in block.terms if not any(t is one for one in arrays)]
    return Block((*found, *others), block.operators)


def read(block: Block, often: int) -> Block:
    """The block, to be multiplied so many times: each product is a pass, and what takes
    long to compute is computed once for all of them."""
    if often < 2:
        return block
    terms = [
        term._replace(
            factor=term.factor._replace(array=again(term.factor.array, often))
        )
        for term in block.terms
    ]
    return Block(tuple(terms), block.operators)


def times(after: Block, before: Block, shapes: Sequence[tuple], work: Work) -> Block:
    """`after` times `before`.

    Args:
      shapes: of the output, of the middle, of the input.
    """
    if work.memory is None:
        return _times(after, before, shapes, work)

    def find(own):
        return _times(*apart(after, before), shapes, own)

    return work.memory.once((after, before), (), find, work)


def _times(after: Block, before: Block, shapes: Sequence[tuple], work: Work) -> Block:
    y, z, x = shapes
    terms = []
    for term in after.terms:
        for other in before.terms:
            met = meet(term, other, work.dtype)
            if met is not None:
                _count(met, work)
                terms.append(composed(met, work.dtype, work.precision))
                work.counted()
    kept: list[Operator] = []
    for operator in after.operators:
        if _is_identity(before):
            kept.append(operator)
        else:
            terms += pushed(operator, _one(before, (z, x), work), z, work)
    for operator in before.operators:
        if _is_identity(Block(after.terms)):
            kept.append(operator)
        elif after.terms:
            terms += pulled(operator, _one(Block(after.terms), (y, z), work), z, work)
    terms = merged(terms, work.dtype) if len(terms) > 1 else terms
    return Block(tuple(terms), tuple(kept))


def _count(met: Met, work: Work) -> None:
    after, before = met
    if not after.factor.labels and not before.factor.labels:
        work.elements(0 if any(map(_is_one, (after.factor, before.factor))) else 1)
        return
    kept = {label for axis in (*after.out, *before.of) for label in axis.labels}
    a, b = after.factor, before.factor
    if is_product(a, b, tuple(kept)):
        every = math.prod([label.size for label in union(a, b)])
        size = math.prod([label.size for label in union(a, b) if label in kept])
        often = APART if work.copies > 1 else 1
        work.product(2 * often * every, a.size + b.size + size)
        work.made(size)
        return
    every = math.prod([label.size for label in union(a, b)])
    size = math.prod([label.size for label in union(a, b) if label in kept])
    if size < every:
        work.summed()
    if size < every or not any(map(_is_one, (a, b))):
        # of many examples they are computed again wherever the matrix is read
        again = AGAIN if work.copies > 1 and len(union(a, b)) > 1 else 1
        work.elements(again * every)
        work.made(size)


def _is_one(factor: Factor) -> bool:
    return is_number(factor) and factor.array == 1


def _is_identity(block: Block) -> bool:
    if len(block.terms) != 1 or block.operators:
        return False
    (term,) = block.terms
    return _is_one(term.factor) and is_diagonal(term)


def _one(block: Block, shapes: Sequence[tuple], work: Work) -> Term:
    """A block as one term: a plain array where it is a sum."""
    if len(block.terms) == 1 and not block.operators:
        return block.terms[0]
    y, x = shapes
    return of_array(array_of(block, y, x, work), y, x)


def array_of(block: Block, y: tuple, x: tuple, work: Work):
    """A block as a plain array (*y, *x); None in a plan."""
    terms = list(block.terms)
    for operator in block.operators:
        sweep, shape = (pulled, y) if _by_rows(operator) else (pushed, x)
        terms += sweep(operator, identity(shape), shape, work)
    shape = (*y, *x)
    work.made(math.prod(shape))
    work.written(shape, terms)
    return None if work.plan else dense(terms, (*y, *x), work.dtype)


def _by_rows(operator: Operator) -> bool:
    """Whether all rows of an operator take less than all columns, as of the modes."""
    rows, columns = math.prod(operator.y.shape), math.prod(operator.x.shape)
    if flops_inside(operator.map, operator.x, operator.y) * min(rows, columns) < HEAVY:
        return ROW * rows < columns
    return rows <= columns


def pushed(operator: Operator, term: Term, z: tuple, work: Work) -> list[Term]:
    """The columns of a term through an operator, in one sweep."""
    if work.plan:
        inside = tuple(dict.fromkeys([i for axis in term.of for i in axis.labels]))
        return [_swept(operator, None, inside, term.of, operator.y.shape, work)]
    whole, labels, of = columns(term, z, work.dtype)
    count = math.prod([label.size for label in labels])
    assert whole is not None
    seeds = whole.reshape((*z, count))
    found = jax.vmap(_push(operator), in_axes=-1, out_axes=-1)(seeds)
    return [_swept(operator, found, labels, of, operator.y.shape, work)]


def pulled(operator: Operator, term: Term, z: tuple, work: Work) -> list[Term]:
    """The rows of a term back through an operator, in one sweep."""
    back = term.transposed
    if work.plan:
        inside = tuple(dict.fromkeys([i for axis in back.of for i in axis.labels]))
        found = _swept(operator, None, inside, back.of, operator.x.shape, work)
        return [found.transposed]
    whole, labels, of = columns(back, z, work.dtype)
    assert whole is not None
    seeds = whole.reshape((*z, math.prod([label.size for label in labels])))
    found = jax.vmap(_pull(operator), in_axes=-1, out_axes=-1)(seeds)
    return [_swept(operator, found, labels, of, operator.x.shape, work).transposed]


def _push(operator: Operator):
    def push(x_dot):
        (y_dot,) = operator.map.push(operator.residuals, [x_dot])
        return ir.zeros(ir.tangent_aval(operator.y)) if y_dot is None else y_dot

    return push


def _pull(operator: Operator):
    def pull(y_bar):
        (x_bar,) = operator.map.pull(operator.residuals, [y_bar])
        return ir.zeros(ir.tangent_aval(operator.x)) if x_bar is None else x_bar

    return pull


def _swept(operator, found, labels: tuple[Label, ...], of, shape, work: Work) -> Term:
    """What a sweep of columns gave, as a term."""
    plain = of_array(None, shape, ())
    own = plain.factor.labels
    count = math.prod([label.size for label in labels])
    work.elements(count * sweep_elements(operator))
    work.time_s += work.rates.kernel_s
    work.kernels += 1
    work.made(count * math.prod(shape))
    array = None
    if found is not None:
        sizes = [label.size for label in (*own, *labels)]
        array = jnp.asarray(found, work.dtype).reshape(sizes)
    factor = Factor((*own, *labels), array)
    kept = {i for axis in of for i in axis.labels} | set(own)
    return Term(plain.out, of, summed(factor, kept, work.dtype))


def sweep_elements(operator: Operator) -> float:
    """What one column takes through an operator, as a number of fused elements: a
    guess, the same for all ways."""
    held = sum(getattr(r, "size", 1) for r in operator.residuals)
    solves = isinstance(whole_map(operator), Solve)
    each = 1.0 if solves else 4.0  # by a library
    return each * (math.prod(operator.x.shape) + math.prod(operator.y.shape) + held)


def flops_inside(it, x, y) -> float:
    """Flops of the largest product in one sweep of a map by one column: of a loop those
    inside, of what nothing is known of those of a full matrix.

    Args:
      x, y: the types of its input and output.
    """
    it = it.whole if isinstance(it, Part) else it
    structures: tuple = tuple(getattr(it, "structures", ()))
    if not structures and type(it).__module__.startswith("jaxbp.linear.loop"):
        return 0.0  # its step is run again, which those with large products are not
    if not structures:
        return 2.0 * math.prod(x.shape) * math.prod(y.shape)
    return max(
        (
            _flops(inner, structure.avals)
            for structure in structures
            for inner in structure.edges
        ),
        default=0.0,
    )


def _flops(edge, avals) -> float:
    it, x, y = edge.map, avals[edge.ins[0]], avals[edge.outs[0]]
    if it.form.kind == "contracts":
        numbers = (getattr(it, "params", None) or {}).get("dimension_numbers")
        if numbers is None or hasattr(numbers, "lhs_spec"):  # a convolution's
            return 2.0 * math.prod(x.shape) * math.prod(y.shape)
        inside = math.prod([x.shape[axis] for axis in numbers[0][it.place]])
        return 2.0 * inside * math.prod(y.shape)
    if it.form.kind != "operator" or isinstance(it, DIAGONALS):
        return 0.0
    return flops_inside(it, x, y)
