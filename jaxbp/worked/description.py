"""A small network described: read, and checked so that errors name the line."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, UnknownName, nearest
from .functions import ACTIVATIONS, LOSSES
from .source import line_of

SHIPPED = Path(__file__).parent / "nets"
ORDERS = ("together", "output_first")
OPTIONS = (
    "name", "inputs", "targets", "sizes", "activation", "loss", "learning_rate",
    "frozen", "order", "steps",
)  # fmt: skip


@dataclass(frozen=True)
class Net:
    """A network, one example, and how to learn from it; checked.

    Attributes:
      name: for headings.
      inputs, targets: of the example.
      weights: per layer, a row for each unit, a column for each input of the layer.
      biases: per layer one a unit; a single number, shared by all of them; or None.
      activations: per layer a name, or a function from all z of the layer, `Value`s of
        `jaxbp.scalar`, to its outputs.
      loss: a name, or a function (outputs, targets) -> one `Value`.
      learning_rate: a step subtracts it times the gradient.
      frozen: names of parameters that keep their values, as "b1".
      order: "together": all gradients are taken before any parameter moves.
        "output_first": each layer moves before the errors pass through it, a mistake
        that circulates.
      steps: how many.
    """

    name: str
    inputs: tuple[float, ...]
    targets: tuple[float, ...]
    weights: tuple[tuple[tuple[float, ...], ...], ...]
    biases: tuple[Any, ...]
    activations: tuple[Any, ...]
    loss: Any
    learning_rate: float = 0.1
    frozen: tuple[str, ...] = ()
    order: str = "together"
    steps: int = 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units per layer, the inputs first."""
        return len(self.inputs), *(len(rows) for rows in self.weights)


def load(place: str | Path) -> Net:
    """The network described in a TOML file, or a shipped one: "mazur", "four_layers".

    Raises:
      UnknownName: no such file or shipped network.
      InvalidArgument: what is wrong, with the line of the file.
    """
    path = Path(place)
    if not path.suffix and not path.exists():
        path = SHIPPED / f"{place}.toml"
    if not path.is_file():
        known = [p.stem for p in SHIPPED.glob("*.toml")]
        raise UnknownName(
            f"there is no file {place}, and no shipped network of that name. "
            f"{nearest(place, known)}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidArgument(
            f"{path.name}, line {line}: not text in UTF-8. Save it as such."
        ) from None
    try:
        description = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(
            f"{path.name} is no TOML: {error}. A line reads `key = value`, such as "
            "`W1 = [[0.1, 0.2], [0.3, 0.4]]`."
        ) from None
    return _Reader(description, path.name, text).net()


def net(**description) -> Net:
    """The network described by Python values, named as in the TOML.

    `inputs`, `targets`, `W1`, `b1`, `W2`, ... are numbers and (nested) lists or arrays;
    `activation` and `loss` may be functions.

    Raises:
      InvalidArgument: what is wrong.
    """
    return _Reader(description, "", "").net()


def entry(key: str, *place: int) -> str:
    """An entry as the tables name it, counted from 1: `W1[2,1]`."""
    return f"`{key}[{','.join(str(i + 1) for i in place)}]`"


class _Reader:
    """Reads one description; every complaint says where."""

    def __init__(self, description: Mapping[str, Any], file: str, text: str):
        self.given, self.file, self.text = description, file, text

    def wrong(
        self, key: str, said: str, place: tuple[int, ...] = ()
    ) -> InvalidArgument:
        """The error: `net.toml, line 7: ...`."""
        line = line_of(self.text, key, place) if self.text else None
        at = f"{self.file}, line {line}: " if line else f"{self.file}: "
        return InvalidArgument(f"{at if self.file else ''}{said}")

    def net(self) -> Net:
        count = self._layers()
        inputs, targets = self._vector("inputs"), self._vector("targets")
        weights, width = [], len(inputs)
        for layer in range(1, count + 1):
            weights.append(self._matrix(f"W{layer}", width))
            width = len(weights[-1])
        if len(targets) != width:
            raise self.wrong(
                "targets",
                f"`targets` must have {width} entries, one per row of `W{count}`, but "
                f"has {len(targets)}.",
            )
        self._check_sizes([len(inputs), *map(len, weights)])
        biases = [self._bias(f"b{i + 1}", len(rows)) for i, rows in enumerate(weights)]
        return Net(
            name=str(self.given.get("name", self.file or "A network")),
            inputs=inputs, targets=targets, weights=tuple(weights),
            biases=tuple(biases), activations=self._activations(count),
            loss=self._named("loss", self.given.get("loss", "half_squares"), LOSSES),
            learning_rate=self._number("learning_rate", 0.1),
            frozen=self._frozen(biases), order=self._order(), steps=self._steps(),
        )  # fmt: skip

    def _layers(self) -> int:
        """The number of layers; no key may be unknown or missing."""
        count = 0
        while f"W{count + 1}" in self.given:
            count += 1
        known = [*OPTIONS, *(f"{p}{i + 1}" for i in range(count) for p in "Wb")]
        for key in self.given:
            if key not in known:
                hint = nearest(key, known)
                if key[:1] in "Wb" and key[1:].isdigit():
                    hint = f"It needs `W{count + 1}`, which is missing."
                raise self.wrong(key, f"unknown key `{key}`. {hint}")
        for key in ("inputs", "targets", "W1"):
            if key not in self.given:
                said = f"`{key}` is missing: a network needs inputs, targets, W1, ..."
                raise self.wrong(key, said)
        return count

    def _number(self, key: str, default: float) -> float:
        return self._finite(key, self.given.get(key, default), (), f"`{key}`")

    def _finite(self, key: str, value, place: tuple[int, ...], named: str) -> float:
        if isinstance(value, bool) or not hasattr(value, "__float__"):
            said = f"{named} must be a number, but is {value!r}."
            raise self.wrong(key, said, place)
        if not math.isfinite(value):
            raise self.wrong(key, f"{named} must be finite, but is {value}.", place)
        return float(value)

    def _list(self, key: str, value, place: tuple[int, ...], named: str) -> list:
        if hasattr(value, "tolist"):  # an array
            value = value.tolist()
        if not isinstance(value, list | tuple) or not value:
            said = f"{named} must be a list of numbers, but is {value!r}."
            raise self.wrong(key, said, place)
        return list(value)

    def _vector(self, key: str) -> tuple[float, ...]:
        numbers = self._list(key, self.given[key], (), f"`{key}`")
        return tuple(
            self._finite(key, x, (i,), entry(key, i)) for i, x in enumerate(numbers)
        )

    def _matrix(self, key: str, columns: int) -> tuple[tuple[float, ...], ...]:
        rows = []
        for i, row in enumerate(self._list(key, self.given[key], (), f"`{key}`")):
            numbers = self._list(key, row, (i,), entry(key, i))
            if len(numbers) != columns:
                each = "input" if key == "W1" else f"row of `W{int(key[1:]) - 1}`"
                said = (
                    f"{entry(key, i)} must have {columns} numbers, one per {each}, but "
                    f"has {len(numbers)}."
                )
                raise self.wrong(key, said, (i,))
            rows.append(
                tuple(
                    self._finite(key, x, (i, j), entry(key, i, j))
                    for j, x in enumerate(numbers)
                )
            )
        return tuple(rows)

    def _bias(self, key: str, units: int):
        value = self.given.get(key)
        if value is None:
            return None
        if isinstance(value, int | float):
            return self._finite(key, value, (), f"`{key}`")
        numbers = self._vector(key)
        if len(numbers) != units:
            said = (
                f"`{key}` must be one number, shared, or {units}, one per row of "
                f"`W{key[1:]}`, but has {len(numbers)}."
            )
            raise self.wrong(key, said)
        return numbers

    def _check_sizes(self, found: list[int]) -> None:
        wanted = self.given.get("sizes")
        if wanted is not None and list(wanted) != found:
            said = f"`sizes` is {list(wanted)}, but inputs and weights make {found}."
            raise self.wrong("sizes", said)

    def _named(self, key: str, value, known: Mapping, place: tuple[int, ...] = ()):
        """A name from a table, or a function."""
        if callable(value):
            return value
        if not isinstance(value, str):
            said = f"`{key}` must be one name, but is {value!r}."
            if key == "loss":
                said += " A loss is a single number, for all outputs."
            raise self.wrong(key, said, place)
        if value not in known:
            said = f"unknown {key} `{value}`. {nearest(value, known)}"
            raise self.wrong(key, said, place)
        return value

    def _activations(self, count: int) -> tuple:
        value = self.given.get("activation", "logistic")
        if not isinstance(value, list | tuple):
            return (self._named("activation", value, ACTIVATIONS),) * count
        if len(value) != count:
            said = (
                f"`activation` must be one name, or {count}, one per layer, but has "
                f"{len(value)}."
            )
            raise self.wrong("activation", said)
        return tuple(
            self._named("activation", name, ACTIVATIONS, (i,))
            for i, name in enumerate(value)
        )

    def _frozen(self, biases) -> tuple[str, ...]:
        names = self.given.get("frozen", [])
        known = [f"W{i + 1}" for i in range(len(biases))]
        known += [f"b{i + 1}" for i, bias in enumerate(biases) if bias is not None]
        for i, name in enumerate([names] if isinstance(names, str) else names):
            if name not in known:
                said = f"`frozen` names no parameter `{name}`. {nearest(name, known)}"
                raise self.wrong("frozen", said, (i,))
        return (names,) if isinstance(names, str) else tuple(names)

    def _order(self) -> str:
        value = self.given.get("order", ORDERS[0])
        if value not in ORDERS:
            said = f"`order` must be {' or '.join(ORDERS)}, but is {value!r}."
            raise self.wrong("order", said)
        return value

    def _steps(self) -> int:
        value = self.given.get("steps", 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            said = f"`steps` must be an integer from 1 on, but is {value!r}."
            raise self.wrong("steps", said)
        return value
