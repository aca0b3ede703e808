"""Steps of ours that a derivative around them sees whole, with a rule of their own.

A derivative of a derivative walks what the inner one computed, loop by loop. Of some
steps more is known than their loops tell: then the recorder around gets the step
itself.
JAX never sees it: for any trace but a recorder's it is what it computes.
"""

from ... import ir
from ...walkers.linearize import Recorder
from ...walkers.live import LiveTrace


class Whole(ir.Primitive):
    """A primitive of ours, given to recorders alone.

    Args:
      name: of the rule.
      run: run(*operands, **params) -> list of arrays.
    """

    multiple_results = True

    def __init__(self, name: str, run):
        super().__init__(name)
        self.run = run

    def bind(self, *operands, **params):
        trace = ir.current_trace()
        if type(trace) is LiveTrace and isinstance(trace.walker, Recorder):
            values, _ = trace.unwrap(operands)
            if not any(type(value) is ir.Hole for value in values):
                return trace.process_primitive(self, operands, params)
        return self.run(*operands, **params)
