"""A function made ready to be checked: compiled once, looked at at any point."""

import numpy as np

from .batch import Slopes, Together, Values
from .closeness import epsilon
from .draws import drawn
from .precision import CUSTOM, SHARED, coarsest, holds
from .subject import Subject
from .wider import Wider
from .witness import Reverse


class Bench:
    """A function, and what all witnesses compile of it.

    As under `jax.jit`, what f reads from elsewhere is what it was at the first call.

    Args:
      f, args, kwargs, argnums, has_aux: as in `Subject`.
      witnesses: sequence of Witness.

    Attributes:
      subject: Subject, at the point of the last `moved`.
      dtypes: the coarsest dtype between each leaf and the output. reaches: whether
        the output is computed from it.
      drawn: whether a draw by rejection depends on each leaf.
      has_custom_rules: whether f calls what has rules of its own. rules_may_lie:
        whether it does, or holds a stop_gradient: only values can speak against these.
      values: Values of f.
      wider: Wider, f in float64; None where it computes in nothing less, or needs its
        values.
      reverses: name -> (xs, y_bar) -> (y, x_bar). forwards: name -> Slopes.
      refusals: name -> exceptions by which it says "not me".
    """

    def __init__(self, f, args, witnesses, kwargs=None, argnums=None, has_aux=False):
        self.subject = subject = Subject(f, args, kwargs, argnums, has_aux)
        self.dtypes, self.reaches = coarsest(subject)
        self.drawn = drawn(subject)
        self.values = Values(subject)
        self.has_custom_rules = holds(subject.program, CUSTOM)
        self.rules_may_lie = holds(subject.program, SHARED)
        self.reverses, self.forwards, self.refusals = {}, {}, {}
        together = Together(subject) if len(witnesses) > 1 else None
        for witness in witnesses:
            reverse, forward = f"{witness.name} reverse", f"{witness.name} forward"
            self.reverses[reverse] = Reverse(witness, subject)
            self.forwards[forward] = Slopes(
                subject, witness.along(subject), witness.refusals, together
            )
            self.refusals[reverse] = self.refusals[forward] = witness.refusals
        is_narrow = max(map(epsilon, self.dtypes)) > epsilon(np.float64)
        self.wider = Wider(subject) if is_narrow and subject.program else None
