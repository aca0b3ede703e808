"""Live recording: a function runs on its actual values under a trace of ours.

Python control flow on concrete values works as it does under `jax.grad`, and no program
is traced twice. The trace hands every primitive to a walker.
"""

from collections.abc import Callable, Sequence

from .. import ir
from .walker import OWN, Walker, unzip


class LiveTracer(ir.Arithmetic, ir.Tracer):
    """A value with its dot: behaves as the value in every Python operation.

    Every name but these two is left to the array's own attributes (`x.dot(y)`).
    """

    __slots__ = ("_primal", "_dot")

    def __init__(self, trace, value, dot):
        super().__init__(trace, ir.typeof(value))
        self._primal = value
        self._dot = dot

    def to_concrete_value(self):
        value = self._primal
        if type(value) is ir.Hole:
            return None
        return value.to_concrete_value() if ir.is_tracer(value) else value

    def full_lower(self):
        return self

    def _contents(self):  # what jax.closure_convert looks at
        return [("_primal", self._primal), ("_dot", ir.perturbed())]

    def _short_repr(self):
        return f"{type(self).__name__}({self._primal})"

    def __repr__(self):
        return f"LiveTracer(primal={self._primal})"


class LiveTrace(ir.Trace):
    """Hands each primitive to a walker, under the trace `parent`."""

    __slots__ = ("walker", "parent", "staging")

    def __init__(self, walker: Walker, parent):
        super().__init__()
        self.walker = walker
        self.parent = parent
        self.staging = ir.is_staging(parent)
        if hasattr(self, "requires_low"):  # hi-primitives come, not what they lower to
            self.requires_low = False

    def wrap(self, values, dots) -> list:
        """Tracers for what carries a dot, and for what no Python code may see."""
        return [
            LiveTracer(self, value, dot)
            if dot is not None or type(value) is ir.Hole
            else value
            for value, dot in zip(values, dots, strict=True)
        ]

    def unwrap(self, tracers) -> tuple[list, list]:
        values, dots = [], []
        for t in tracers:
            own = type(t) is LiveTracer and t._trace is self
            values.append(t._primal if own else t)
            dots.append(t._dot if own else None)
        return values, dots

    def stage_value(self, value):
        (value,), (dot,) = self.unwrap([value])
        return self.wrap([self.parent.stage_value(value)], [dot])[0]

    def process_primitive(self, primitive, tracers, params, /):
        values, dots = self.unwrap(tracers)
        with ir.set_current_trace(self.parent):
            if any(d is not None for d in dots):
                outs, dots = self.walker.apply(primitive, values, dots, params)
            elif any(type(v) is ir.Hole for v in values):
                outs = ir.evaluate(primitive, values, params)
                dots = [None] * len(outs)
            elif primitive.name in OWN:
                outs, dots = self.walker.apply(primitive, values, dots, params)
            else:
                return primitive.bind(*values, **params)
        wrapped = self.wrap(outs, dots)
        return wrapped if primitive.multiple_results else wrapped[0]

    def process_call(self, call_primitive, fun, tracers, params, /):
        with ir.set_current_trace(self):  # an inline call: its body is recorded here
            return fun.call_wrapped(*tracers)

    def process_shard_map(self, primitive, fun, tracers, /, **params):
        jaxpr, consts, as_result = ir.staged(primitive, fun, tracers, params)
        pairs = zip(*self.unwrap([*consts, *tracers]), strict=True)
        env = dict(zip([*jaxpr.constvars, *jaxpr.invars], pairs, strict=True))
        with ir.set_current_trace(self.parent):
            self.walker.walk(jaxpr, env)
        outs, dots = unzip([ir.read(env, atom) for atom in jaxpr.outvars])
        return as_result(self.wrap(outs, dots))

    def process_custom_jvp_call(
        self, primitive, fun, jvp, tracers, /, *, symbolic_zeros
    ):
        params = {"subfuns": (fun, jvp), "symbolic_zeros": symbolic_zeros}
        return self.process_primitive(primitive, tracers, params)

    def process_custom_vjp_call(
        self, primitive, fun, fwd, bwd, tracers, /, *, out_trees, symbolic_zeros
    ):
        params = {
            "subfuns": (fun, fwd, bwd),
            "out_trees": out_trees,
            "symbolic_zeros": symbolic_zeros,
        }
        return self.process_primitive(primitive, tracers, params)


def run_live(walker: Walker, function: Callable, values: Sequence, dots: Sequence):
    """Runs `function(*tracers) -> outs, extras` live.

    Under the trace current at the call; tracers that outlive it are invalid.

    Returns:
      The values and the dots of `outs`, and the values of `extras`.
    """
    with ir.take_current_trace() as parent:
        trace = LiveTrace(walker, parent)
        try:
            with ir.set_current_trace(trace):
                outs, extras = function(*trace.wrap(values, dots))
            return *trace.unwrap(outs), trace.unwrap(extras)[0]
        finally:
            trace.invalidate()
