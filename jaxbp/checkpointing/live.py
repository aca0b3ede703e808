"""The most bytes that live at a time while a program runs, beside its arguments.

Predicted from its equations in their order, as XLA fuses and runs them:

    a = x @ w     made: a product's result is an array
    b = a + 1     not made: all who read it are elementwise, and compute it again
    c = tanh(b)   made: it is dear, and two read it;  or a product reads it
    d = c.T       the same array, or one that is fused into what reads it

What is not made keeps alive what it is computed from. An elementwise result may take
the place of an operand that nobody reads any more; a loop's carries have one place for
all steps, and what a step needs more it has beside. A product copies an operand whose
axes do not lie as it needs them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import jax

from .. import ir
from ..costs.flat import Flat, Step, Value, flatten
from ..costs.traffic import ENDING, SELECTING, UPDATING, VIEWS, fuses
from ..costs.work import TRANSCENDENTAL

_DEAR = frozenset([*TRANSCENDENTAL, "div", "rem", "integer_pow"])
_PRODUCTS = ("dot_general", "conv_general_dilated")
_ALIGNED = 64  # bytes: an array begins at multiples of them
_MOST_HOSTED = 2000  # values looked at, the largest first
_RANDOM = ("random_bits", "threefry2x32")  # made by halves, in three arrays more
_COPY = "copy of an operand"
_LOOPS = ("scan", "while", "cond")


def live_bytes(program) -> int:
    """Of a closed program: outputs and what lives beside them, arguments apart."""
    return live_bytes_of(flatten(program))


def live_bytes_of(flat: Flat) -> int:
    """Of a program as a list of steps."""
    return _Timeline(flat).whole(flat)


class _Timeline:
    """One program: which values are arrays, and how long they live."""

    def __init__(self, flat: Flat, written: Sequence[Value] = ()):
        """`written`: outputs that are written into arrays that are there already."""
        self.views = _views(flat)
        self.swapped = _swapped(flat)
        self.steps = self._with_copies(flat)
        self.written = {self._root(value) for value in written}
        self.ends = {self._root(v) for v in flat.outs} - self.written
        self.barred = {self._root(v) for v in _barred(flat)}
        self.readers: dict[Value, list[tuple[Step, int]]] = {}
        for step in self.steps:
            for place, value in enumerate(step.ins):
                self.readers.setdefault(self._root(value), []).append((step, place))
        self.made: set[Value] = set()
        self.library: set[Value] = set()  # not made; all within a reduction's call
        sinks: dict[Value, set[Value]] = {}  # per value: in whose fusions it is
        for step in reversed(self.steps):
            for out in step.outs:
                found = sinks[out] = self._sinks(out, sinks)
                dear = step.name in _DEAR and _joins(step) and len(found) > 1
                if dear or self._is_made(step, out):
                    self.made.add(out)
                elif all(self._in_library(reader) for reader, _ in self._read(out)):
                    self.library.add(out)
        if jax.default_backend() == "cpu":
            self.steps = self._as_ready()
        self.number = {out: n for n, it in enumerate(self.steps) for out in it.outs}
        self.last = self._last_reads()

    def _root(self, value: Value) -> Value:
        while value in self.views:
            value = self.views[value]
        return value

    def _with_copies(self, flat: Flat) -> list[Step]:
        """The steps, views apart; a product's operands with axes in another order are
        copied, once for all products that read them so."""
        copies: dict[tuple, Value] = {}
        found: list[Step] = []
        for step in flat.steps:
            if _is_view(step):
                continue
            if step.name in _PRODUCTS:
                ins = list(step.ins)
                for place, value in enumerate(ins):
                    if not self._copies(step, place):
                        continue
                    key = self._root(value), _order(step, place)
                    if key not in copies:
                        copies[key] = Value(value.aval, _COPY)
                        of = (value,), (copies[key],)
                        found.append(Step(_COPY, {}, *of, (), step.equation))
                    ins[place] = copies[key]
                step = step._replace(ins=tuple(ins))
            found.append(step)
        return found

    def _as_ready(self) -> list[Step]:
        """The steps as XLA:CPU runs them: first what all operands are there for."""
        own = [
            any(out in self.made for out in step.outs) or not step.outs
            for step in self.steps
        ]
        waits: list[set[int]] = []  # per step: those of arrays that it reads
        sources: dict[Value, set[int]] = {}
        users: dict[int, list[int]] = {}
        for number, step in enumerate(self.steps):
            before = set().union(*[sources.get(self._root(v), ()) for v in step.ins])
            waits.append(before)
            here = {number} if own[number] else before
            sources.update(dict.fromkeys(step.outs, here))
            if own[number]:
                for source in before:
                    users.setdefault(source, []).append(number)
        left = [len(before) for before in waits]
        queue = deque(n for n, count in enumerate(left) if own[n] and not count)
        order = []
        while queue:
            order.append(number := queue.popleft())
            for user in users.get(number, ()):
                left[user] -= 1
                if not left[user]:
                    queue.append(user)
        # What is computed within its readers comes when the last it reads is there.
        place = {number: at for at, number in enumerate(order)}
        last = [
            (place[n], 0, n)
            if on
            else (max([place[b] for b in waits[n]], default=-1), 1, n)
            for n, on in enumerate(own)
        ]
        return [self.steps[n] for *_, n in sorted(last)]

    def _sinks(self, out: Value, sinks: dict) -> set[Value]:
        """Arrays, two at most, in whose fusions a value is computed."""
        found: set[Value] = set()
        for reader, _ in self._read(out):
            for other in reader.outs:
                ends = other in self.made or reader.name in ENDING
                found |= {other} if ends else sinks.get(other, set())
        return set(list(found)[:2])

    def _is_made(self, step: Step, out: Value) -> bool:
        """Whether a value is an array of its own."""
        readers = self._read(out)
        if out in self.ends or not readers:
            return out in self.ends
        if out in self.barred:
            return True
        if step.name == "transpose" and any(self._in_library(r) for r, _ in readers):
            return True
        if not _joins(step):
            return True
        if not all(self._computes(*reader) for reader in readers):
            return True
        if len(readers) < 2:
            return False
        if step.name in _DEAR or step.name in ENDING:
            return True
        return any(self._in_library(reader) for reader, _ in readers)

    def _read(self, out: Value) -> list[tuple[Step, int]]:
        return self.readers.get(out, [])

    def _in_library(self, step: Step) -> bool:
        """Whether it is a reduction, or computed in the call of one."""
        return step.name in ENDING or any(out in self.library for out in step.outs)

    def _computes(self, step: Step, place: int) -> bool:
        """Whether a reader may compute what it reads, in its own fusion."""
        if step.name in UPDATING:
            return place != UPDATING[step.name] - 1 and step.name.startswith("dynamic")
        return _joins(step)

    def _copies(self, step: Step, place: int) -> bool:
        """Whether a product needs an operand with its axes in another order."""
        operand = step.ins[place].aval
        if step.name == "conv_general_dilated":
            return _order(step, place) != _STRAIGHT[place](operand.ndim)
        contracted, batch = step.params["dimension_numbers"]
        axes, first = list(contracted[place]), list(batch[place])
        if first != list(range(len(first))):
            return True
        free = [a for a in range(operand.ndim) if a not in axes and a not in first]
        rest = list(range(len(first), operand.ndim))
        if rest not in ([*free, *axes], [*axes, *free]):
            return True
        return place == 0 and step.outs[0] in self.swapped and axes[:1] != rest[-1:]

    def _last_reads(self) -> dict[Value, int]:
        last = dict.fromkeys(self.ends, len(self.steps))
        here = self.made.union(self.written)
        for number in range(len(self.steps) - 1, -1, -1):
            step = self.steps[number]
            own = not step.outs or any(out in here for out in step.outs)
            times = [last.get(out, -1) for out in step.outs if out not in self.made]
            time = max([number if own else -1, *times])
            for value in map(self._root, step.ins):
                last[value] = max(last.get(value, -1), time)
        return last

    def whole(self, flat: Flat) -> int:
        """With all outputs: their places serve others before, one at a time."""
        return _bytes(flat.outs) + self.peak(self._hosted())

    def _hosted(self) -> set[Value]:
        """What lives in the place of an output: that, and smaller values before it."""
        ends = sorted(self.ends & self.made, key=lambda v: -_room(v))
        rooms = [(_room(v), [self._span(v)]) for v in ends]
        return {*ends, *self._placed(rooms, self.made.difference(ends))}

    def _placed(self, rooms: list, values: Iterable[Value]) -> Iterator[Value]:
        """Those of `values` that find a place in `rooms`: (bytes, lives) each."""
        wanted = [(-_room(v), *self._span(v), i, v) for i, v in enumerate(values)]
        for size, first, last, _, value in sorted(wanted)[:_MOST_HOSTED]:
            for room, spans in reversed(rooms):
                others = spans if room >= -size else [(first, last)]
                if all(self._apart((first, last), other) for other in others):
                    spans.append((first, last))
                    yield value
                    break

    def _span(self, value: Value) -> tuple[int, int]:
        return self.number[value], self.last.get(value, -1)

    def of_step(self, carries: Sequence[Value]) -> int:
        """Of a loop's body, whose new carries take the places of the old ones."""
        rooms = [(_room(v), [(-1, self.last.get(v, -1))]) for v in carries]
        return self.peak(set(self._placed(rooms, self.ends & self.made)))

    def _apart(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Whether two lives have no step in common, but one that works in place."""
        first, then = sorted((one, other))
        if first[1] < then[0]:
            return True
        return first[1] == then[0] and _in_place(self.steps[then[0]])

    def peak(self, elsewhere: set | frozenset = frozenset()) -> int:
        """The most bytes at a time, of what lives not `elsewhere`."""
        leaving: dict[int, list[Value]] = {}
        for value in self.made.difference(elsewhere):
            leaving.setdefault(self.last.get(value, -1), []).append(value)
        live = most = 0
        for number, step in enumerate(self.steps):
            new = [o for o in step.outs if o in self.made and o not in elsewhere]
            gone = [value for value in leaving.get(number, []) if value not in new]
            shared = _shared(step, new, gone)
            most = max(most, live + _bytes(new) - shared + self._beside(step))
            unread = [out for out in new if self.last.get(out, -1) <= number]
            live += _bytes(new) - _bytes(gone) - _bytes(unread)
        return most

    def _beside(self, step: Step) -> int:
        """What a step needs beside its operands and outputs."""
        if step.name in _RANDOM:
            return 3 * _bytes(step.outs)
        if step.name == "scan":
            carries = ir.scan_counts(step.params)[1]
            body = step.inner[0]
            kept = max(0, carries - (len(step.outs) - len(body.outs)))
            old = ir.scan_split(body.ins, step.params)[1]
            return _Timeline(body, body.outs[kept:]).of_step(old)
        if step.name == "while":
            body = step.inner[-1]
            return _Timeline(body).of_step(body.ins[-len(body.outs) :])
        if step.name in _LOOPS:
            return max(_Timeline(flat).peak() for flat in step.inner)
        return 0


# Convolutions read (batch, *place, channel), and kernels (*place, in, out).
_STRAIGHT = (
    lambda ndim: (0, ndim - 1, *range(1, ndim - 1)),
    lambda ndim: (ndim - 1, ndim - 2, *range(ndim - 2)),
)


def _order(step: Step, place: int) -> tuple[int, ...]:
    """How the axes of a product's operand lie: equal for those that share a copy."""
    numbers = step.params["dimension_numbers"]
    if step.name == "conv_general_dilated":
        return tuple((numbers.lhs_spec, numbers.rhs_spec)[place])
    return tuple(numbers[1][place])


def _views(flat: Flat) -> dict[Value, Value]:
    return {
        out: value
        for step in flat.steps
        if _is_view(step)
        for value, out in zip(step.ins, step.outs, strict=False)
    }


def _barred(flat: Flat) -> Iterator[Value]:
    """What a barrier is put before: compilers fuse nothing across it."""
    read = {value for step in flat.steps for value in step.ins}.union(flat.outs)
    for step in flat.steps:
        if step.name == "optimization_barrier":
            pairs = zip(step.ins, step.outs, strict=True)
            yield from (value for value, out in pairs if out in read)


def _is_view(step: Step) -> bool:
    """The same array; a matrix is read transposed by whoever reads it."""
    if step.name == "transpose":
        return step.ins[0].aval.ndim == 2
    return step.name in VIEWS


def _swapped(flat: Flat) -> set[Value]:
    """Products that are only read transposed: their operands trade places."""
    return {
        step.ins[0]
        for step in flat.steps
        if step.name == "transpose" and step.params["permutation"] == (1, 0)
    }


def _joins(step: Step) -> bool:
    """Whether it may be computed within what reads it."""
    if step.name == _COPY:
        return True
    if step.inner or step.name in (*UPDATING, "concatenate"):
        return False
    fused = fuses(step) or step.name in (*SELECTING, "transpose")
    return fused or step.name in ENDING


def _in_place(step: Step) -> bool:
    """Whether what it makes may take the place of what it reads."""
    if step.name in (_COPY, "transpose"):
        return False
    return _joins(step) or step.name in _LOOPS or step.name in UPDATING


def _shared(step: Step, new: Sequence[Value], gone: Sequence[Value]) -> int:
    """Bytes of outputs that take the places of operands read for the last time."""
    if step.name == "scan":  # what it reads by rows does not take what it writes
        _, gone, _ = ir.scan_split(
            [v if v in gone else None for v in step.ins], step.params
        )
        gone = [value for value in gone if value is not None]
        new = [v for v in step.outs[: ir.scan_counts(step.params)[1]] if v in new]
    elif not _in_place(step):
        return 0
    sizes = [_room(value) for value in gone]
    found = 0
    for out in new:
        size = _room(out)
        if size in sizes:
            sizes.remove(size)
            found += size
    return found


def _bytes(values: Sequence[Value]) -> int:
    return sum(map(_room, values))


def _room(value: Value) -> int:
    """Bytes of an array, and of what stays free behind it."""
    return -(-ir.nbytes(value.aval) // _ALIGNED) * _ALIGNED
