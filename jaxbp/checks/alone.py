"""One wrong element of many, in a group whose slope agrees, or hardly does not.

What is allowed is a share of the slope along the group's direction. That of hundreds of
elements may be so large that an element wrong by a thousandth is within it, though the
differences see ten digits. Such a group is halved by what would be allowed to one of
its elements, and the one that is found is looked at by itself.
"""

from .probes import along, locate

MOST = 4  # leaves with such a group: one wrong rule makes many so


def alone(looker, looks, rng):
    """Looks at elements that may be wrong within groups that agree or are in doubt.

    Args:
      looker: Looker. looks: list of Look. rng: numpy Generator.

    Returns:
      list of Look: at most one for each leaf, along one element.

    Cost: of each group, twice as many directions as its size has octaves.
    """
    suspects: dict = {}
    for look in looks:
        if _is_suspect(looker, look):
            suspects.setdefault(look.probe.leaf, []).append(look)
    worst = [max(of, key=looker.excess_alone) for of in suspects.values()]
    worst.sort(key=looker.excess_alone, reverse=True)
    found = [_located(looker, look.probe, rng) for look in worst[:MOST]]
    return [look for look in found if look is not None]


def _is_suspect(looker, look):
    if not look.probe.drawn or look.found.kink or looker.excess_alone(look) <= 1:
        return False
    return look.doubted or looker.excess(look) <= 1  # else it is halved anyway


def _located(looker, probe, rng):
    """The Look along the element that makes a group suspect; None of several."""
    x, seen = looker.xs[probe.leaf], {}

    def excess(parts):
        looks = looker.look([along(probe.leaf, x, part, rng) for part in parts])
        seen.update((p.tobytes(), k) for p, k in zip(parts, looks, strict=True))
        return list(map(looker.excess_alone, looks))

    part = locate(probe.members, excess)
    return seen[part.tobytes()] if len(part) == 1 else None
