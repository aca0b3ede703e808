"""Which axes of an equation's operands and outputs are one: a label for each axis.

Axes with one label are divided alike. A label of operands alone is summed over. What
`whole` names must lie whole on a device: it is sorted, shifted, cut or looked up along.
"""

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import NamedTuple

from ..rules import kind_of
from .flat import Step
from .work import ELEMENTWISE, TRANSCENDENTAL

Labels = tuple[Hashable, ...]


class Labelled(NamedTuple):
    """Labels of the axes of one equation.

    Fields:
      ins: per operand; None where it does not matter.
      outs: per output.
      summed: labels that the outputs are sums over (or maxima, or other reductions).
      whole: labels that may not be divided.
    """

    ins: Sequence[Labels | None]
    outs: Sequence[Labels]
    summed: tuple[Hashable, ...] = ()
    whole: frozenset[Hashable] = frozenset()


WHOLE_ONLY = Labelled((), ())  # operands whole, outputs whole


def labelled(step: Step) -> Labelled | None:
    """The labels of an equation; None where there is no entry."""
    found = TABLE.get(step.name)
    if found is None:
        same = kind_of(step.equation.primitive) == "elementwise"
        found = elementwise if same else None
    return found(step) if found else None


def _shape(value) -> tuple[int, ...]:
    return tuple(value.aval.shape)


def _axes(value) -> Labels:
    return tuple(range(len(_shape(value))))


def elementwise(step: Step) -> Labelled:
    """All arrays alike; an axis of length 1, and a scalar, has no say."""
    out = _axes(step.outs[0]) if step.outs else ()
    shape = _shape(step.outs[0]) if step.outs else ()

    def labels(value):
        own = _shape(value)
        if len(own) != len(shape):
            return None if not own else (None,) * len(own)
        return tuple(
            i if n == m else ("one", i)
            for i, (n, m) in enumerate(zip(own, shape, strict=True))
        )

    return Labelled([labels(v) for v in step.ins], [out for _ in step.outs])


def nothing(step: Step) -> Labelled:
    """Made from no array: it may lie as it is needed."""
    outs = [tuple(("new", i) for i in _axes(v)) for v in step.outs]
    return Labelled([None for _ in step.ins], outs)


def broadcast(step: Step) -> Labelled:
    x, out = step.ins[0], _axes(step.outs[0])
    pairs = zip(_shape(x), step.params["broadcast_dimensions"], strict=True)
    made = _shape(step.outs[0])
    labels = tuple(d if n == made[d] else ("one", d) for n, d in pairs)
    return Labelled([labels, *[None] * (len(step.ins) - 1)], [out])


def transpose(step: Step) -> Labelled:
    return Labelled([_axes(step.ins[0])], [tuple(step.params["permutation"])])


def squeeze(step: Step) -> Labelled:
    gone = {d % len(_shape(step.ins[0])) for d in step.params["dimensions"]}
    axes = _axes(step.ins[0])
    return Labelled([axes], [tuple(a for a in axes if a not in gone)])


def reshape(step: Step) -> Labelled:
    """Axes that stay; of merged or split ones the first, which keeps its parts
    together."""
    old, new = _shape(step.ins[0]), _shape(step.outs[0])
    olds: list = [("old", i) for i in range(len(old))]
    news: list = [("new", i) for i in range(len(new))]
    for ours, theirs in _groups(old, new):
        long = [i for i in ours if old[i] != 1] or ours
        other = [i for i in theirs if new[i] != 1] or theirs
        if long and other:
            news[other[0]] = olds[long[0]]
    inside = [
        ("old", i)
        for ours, _ in _groups(old, new)
        for i in [j for j in ours if old[j] != 1][1:]
    ]
    return Labelled([tuple(olds)], [tuple(news)], (), frozenset(inside))


def _groups(old: Sequence[int], new: Sequence[int]):
    """Pairs of runs of axes with equal products, from the front."""
    i = j = 0
    while i < len(old) or j < len(new):
        ours, theirs = [], []
        if i < len(old):
            ours.append(i)
            i += 1
        if j < len(new):
            theirs.append(j)
            j += 1
        while (a := prod(old[k] for k in ours)) != (b := prod(new[k] for k in theirs)):
            if a < b and i < len(old):
                ours.append(i)
                i += 1
            elif j < len(new):
                theirs.append(j)
                j += 1
            else:
                return
        yield ours, theirs


def reduction(step: Step) -> Labelled:
    axes = _axes(step.ins[0])
    gone = tuple(a % max(1, len(axes)) for a in step.params["axes"])
    kept = tuple(a for a in axes if a not in gone)
    ins = [axes if len(_shape(v)) == len(axes) else None for v in step.ins]
    return Labelled(ins, [kept for _ in step.outs], gone)


def along(name: str) -> Callable[[Step], Labelled]:
    """The operation runs along one axis."""

    def entry(step):
        axes = _axes(step.ins[0])
        axis = step.params[name]
        gone = [axis] if isinstance(axis, int) else list(axis)
        return Labelled(
            [axes if _shape(v) == _shape(step.ins[0]) else None for v in step.ins],
            [axes for _ in step.outs],
            (),
            frozenset(a % len(axes) for a in gone),
        )

    return entry


def unequal(step: Step) -> Labelled:
    """Axes of other lengths in the output are cut, extended or joined along."""
    out = _axes(step.outs[0])
    made = _shape(step.outs[0])
    ins: list[Labels | None] = []
    cut = set()
    for value in step.ins:
        own = _shape(value)
        if len(own) != len(made):
            ins.append(None)
            continue
        pairs = enumerate(zip(own, made, strict=True))
        differing = {i for i, (n, m) in pairs if n != m}
        cut |= differing
        ins.append(out)
    return Labelled(ins, [out for _ in step.outs], (), frozenset(cut))


def updated(step: Step) -> Labelled:
    """dynamic_update_slice: where the update is shorter it is put at a place."""
    out, made = _axes(step.outs[0]), _shape(step.outs[0])
    pairs = enumerate(zip(_shape(step.ins[1]), made, strict=True))
    cut = frozenset(i for i, (n, m) in pairs if n != m)
    return Labelled([out, out, *[None] * (len(step.ins) - 2)], [out], (), cut)


def product(step: Step) -> Labelled:
    (lhs_sum, rhs_sum), (lhs_batch, rhs_batch) = step.params["dimension_numbers"]
    lhs, rhs = (len(_shape(v)) for v in step.ins[:2])
    left: list = [("l", i) for i in range(lhs)]
    right: list = [("r", i) for i in range(rhs)]
    for kind, pairs in (
        ("s", zip(lhs_sum, rhs_sum, strict=True)),
        ("b", zip(lhs_batch, rhs_batch, strict=True)),
    ):
        for place, (i, j) in enumerate(pairs):
            left[i] = right[j] = (kind, place)
    free_left = [x for x in left if x[0] == "l"]
    free_right = [x for x in right if x[0] == "r"]
    batch = [("b", i) for i in range(len(lhs_batch))]
    out = (*batch, *free_left, *free_right)
    summed = tuple(("s", i) for i in range(len(lhs_sum)))
    return Labelled([tuple(left), tuple(right)], [out], summed)


def convolution(step: Step) -> Labelled:
    numbers = step.params["dimension_numbers"]
    lhs: list = [("x", i) for i in range(len(_shape(step.ins[0])))]
    rhs: list = [("w", i) for i in range(len(_shape(step.ins[1])))]
    out: list = [("y", i) for i in range(len(lhs))]
    lhs[numbers.lhs_spec[0]] = out[numbers.out_spec[0]] = "batch"
    rhs[numbers.rhs_spec[0]] = out[numbers.out_spec[1]] = "made"
    plain = step.params["feature_group_count"] == step.params["batch_group_count"] == 1
    summed = ("read",) if plain else ()
    if plain:
        lhs[numbers.lhs_spec[1]] = rhs[numbers.rhs_spec[1]] = "read"
    whole = {x for x in (*lhs, *rhs, *out) if isinstance(x, tuple)}
    if not plain:
        whole |= {"batch", "made"}
    return Labelled([tuple(lhs), tuple(rhs)], [tuple(out)], summed, frozenset(whole))


def gather(step: Step) -> Labelled:
    """Rows of a table by their numbers: divided as the numbers are, and along axes of
    the table that are taken whole; not along those that are looked up."""
    numbers, sizes = step.params["dimension_numbers"], step.params["slice_sizes"]
    table, places = (_shape(v) for v in step.ins[:2])
    offset = numbers.offset_dims
    index: list = [("i", a) for a in range(len(places) - 1)]
    of: list = [("t", a) for a in range(len(table))]
    for a, b in zip(
        numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True
    ):
        of[a] = index[b]
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    kept = iter(a for a in range(len(table)) if a not in gone)
    rest = iter(index)
    out = tuple(
        of[next(kept)] if axis in offset else next(rest)
        for axis in range(len(_shape(step.outs[0])))
    )
    batching = numbers.operand_batching_dims
    looked_up = frozenset(
        of[a] for a in range(len(table)) if sizes[a] != table[a] and a not in batching
    )
    ins = [tuple(of), (*index, ("vector", 0))]
    return Labelled(ins, [out], (), looked_up | {("vector", 0)})


def scatter(step: Step) -> Labelled:
    """Rows added at places of a table: a sum over the rows."""
    numbers = step.params["dimension_numbers"]
    table, places, rows = (_shape(v) for v in step.ins[:3])
    window = numbers.update_window_dims
    index: list = [("i", a) for a in range(len(places) - 1)]
    of: list = [("t", a) for a in range(len(table))]
    for a, b in zip(
        numbers.operand_batching_dims,
        numbers.scatter_indices_batching_dims,
        strict=True,
    ):
        of[a] = index[b]
    gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    kept = iter(a for a in range(len(table)) if a not in gone)
    rest = iter(index)
    labels, cut = [], {("vector", 0)}
    for axis in range(len(rows)):
        if axis in window:
            target = next(kept)
            labels.append(of[target])
            if rows[axis] != table[target]:
                cut.add(of[target])
        else:
            labels.append(next(rest))
    cut |= {of[a] for a in numbers.inserted_window_dims}
    summed = tuple(x for x in index if x not in of)
    return Labelled(
        [tuple(of), (*index, ("vector", 0)), tuple(labels)], [tuple(of)], summed,
        frozenset(cut),
    )  # fmt: skip


def triangular(step: Step) -> Labelled:
    """Of the last two axes nothing is divided; those before are batches."""
    rank = len(_shape(step.ins[0]))
    ins = [_axes(v) if len(_shape(v)) == rank else None for v in step.ins]
    return Labelled(
        ins, [_axes(v) for v in step.outs], (), frozenset((rank - 2, rank - 1))
    )


TABLE: dict[str, Callable[[Step], Labelled]] = {
    **dict.fromkeys(
        [*ELEMENTWISE, *TRANSCENDENTAL]
        + """add_any bitcast_convert_type convert_element_type copy copy_p exp2 imag
        integer_pow logistic name one_minus_square real reduce_precision select_n
        square stop_gradient""".split(),
        elementwise,
    ),
    **dict.fromkeys("iota random_bits random_seed random_wrap empty".split(), nothing),
    **dict.fromkeys(
        """reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor
        argmax argmin""".split(),
        reduction,
    ),
    **dict.fromkeys("cumsum cumprod cummax cummin cumlogsumexp".split(), along("axis")),
    **dict.fromkeys("concatenate pad slice dynamic_slice".split(), unequal),
    **dict.fromkeys(
        "scatter scatter-add scatter_add scatter-mul scatter_mul".split(), scatter
    ),
    **dict.fromkeys("cholesky triangular_solve lu qr eigh svd".split(), triangular),
    "rev": along("dimensions"),
    "sort": along("dimension"),
    "broadcast_in_dim": broadcast,
    "conv_general_dilated": convolution,
    "dot_general": product,
    "dynamic_update_slice": updated,
    "gather": gather,
    "reshape": reshape,
    "squeeze": squeeze,
    "transpose": transpose,
}
