"""Where the residuals of an inner program are to be had: told by identity."""

from collections.abc import Sequence


class Places:
    """Values that are known outside, by group, and those that are not.

    Attributes:
      own: the values asked for that no group holds, in order: they must be given out.
    """

    def __init__(self, **groups: Sequence):
        self._found: dict[int, tuple[str, int]] = {}
        for name, values in groups.items():
            for place, value in enumerate(values):
                self._found.setdefault(id(value), (name, place))
        self.own: list = []

    def find(self, value) -> tuple[str, int]:
        """(group, place) of a value; of one that is in none, ("own", its place)."""
        if id(value) not in self._found:
            self._found[id(value)] = "own", len(self.own)
            self.own.append(value)
        return self._found[id(value)]
