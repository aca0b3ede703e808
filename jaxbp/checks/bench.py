"""A function made ready to be checked: compiled once, looked at at any point."""

from .batch import Slopes, Together, Values
from .closeness import epsilon
from .precision import CUSTOM, SHARED, coarsest, holds
from .subject import Subject
from .wider import WiderValues
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
      has_custom_rules: whether f calls what has rules of its own. rules_may_lie:
        whether it does, or holds a stop_gradient: only values can speak against these.
      values: Values of f. wider: the same in float64, where f computes in less; None
        where nobody can have it do so.
      reverses: name -> (xs, y_bar) -> (y, x_bar). forwards: name -> Slopes.
      refusals: name -> exceptions by which it says "not me".
    """

    def __init__(self, f, args, witnesses, kwargs=None, argnums=None, has_aux=False):
        self.subject = subject = Subject(f, args, kwargs, argnums, has_aux)
        self.dtypes, self.reaches = coarsest(subject)
        self.values = Values(subject)
        narrow = subject.program and max(map(epsilon, self.dtypes)) > epsilon(float)
        self.wider = WiderValues(subject) if narrow else None
        self.has_custom_rules = holds(subject.program, CUSTOM)
        self.rules_may_lie = holds(subject.program, SHARED)
        self.reverses, self.forwards, self.refusals = {}, {}, {}
        together = Together(subject) if len(witnesses) > 1 else None
        for witness in witnesses:
            reverse, forward = f"{witness.name} reverse", f"{witness.name} forward"
            self.reverses[reverse] = Reverse(witness, subject)
            self.forwards[forward] = Slopes(subject, witness, together)
            self.refusals[reverse] = self.refusals[forward] = witness.refusals
