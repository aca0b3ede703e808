"""Directions in doubt, drawn anew over the same elements.

In a network of ReLUs every direction crosses kinks, and along some of them these look
like another slope at every step that is long enough to be seen. Along another direction
they lie elsewhere, while an element that is wrong is so along all of them.
"""

from .probes import along
from .rows import DIFFERENCES, UNDECIDED

DRAWN = 3  # that all have to agree


def afresh(looker, looks, rng):
    """`looks`, with those that disagree in doubt along the worst of a few other random
    directions over the same elements, if all of these agree.

    Args:
      looker: Looker. looks: list of Look. rng: numpy Generator.
    """
    doubtful = [k for k, look in enumerate(looks) if _is_in_doubt(looker, look)]
    probes = [looks[k].probe for k in doubtful for _ in range(DRAWN)]
    drawn = [along(p.leaf, looker.xs[p.leaf], p.members, rng) for p in probes]
    found = iter(looker.look(drawn))
    looks = list(looks)
    for k in doubtful:
        worst = max((next(found) for _ in range(DRAWN)), key=looker.excess)
        if looker.excess(worst) <= 1:
            looks[k] = worst
    return looks


def _is_in_doubt(looker, look):
    if not look.probe.drawn or looker.excess(look) <= 1:
        return False
    rows = looker.rows({"leaf": "", "point": 0, "judged": ""}, look)
    return any(r.witness == DIFFERENCES and r.verdict == UNDECIDED for r in rows)
