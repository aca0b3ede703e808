"""What is computed otherwise on CPUs, chosen where a program is compiled.

`lax.platform_dependent` traces a branch for each platform, and whatever transforms the
program meets branches. Here it meets the plain operation alone, with all that is known
of it; the other way is for the compiler.

There it is a call that is not taken apart, so that its operands are computed once,
before it: XLA:CPU would compute them anew wherever an element is read, behind
`optimization_barrier` as well. Calls of one kind are compiled once.
"""

import functools
from collections.abc import Callable

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.interpreters import mlir

from .. import ir
from .base import Params


class _ForCPU(ir.Primitive):
    """The call of a program that on CPUs `instead(*operands, **params)` replaces.

    Bound by a transformation it is the program alone.
    """

    multiple_results = True

    def bind(self, *operands, jaxpr, instead, params):
        if not ir.is_traced_plainly(ir.current_trace()):
            return ir.evaluate_program(jaxpr, operands)
        return super().bind(*operands, jaxpr=jaxpr, instead=instead, params=params)


def for_cpu(plain: Callable, instead: Callable, *operands, **params):
    """`plain(*operands, **params)`, an array; where it is compiled for CPUs, `instead`.

    Args:
      plain, instead: functions of arrays, and of parameters that can be hashed. Their
        results differ by rounding alone.
    """
    if not ir.is_traced_plainly(ir.current_trace()):
        return plain(*operands, **params)
    held = Params(params)
    program = ir.traced(plain, held, tuple(map(ir.typeof, operands)))
    (out,) = for_cpu_p.bind(*operands, jaxpr=program, instead=instead, params=held)
    return out


def _lowered(context, *operands, jaxpr, instead, params):
    def plain(*operands):
        return ir.evaluate_program(jaxpr, operands)

    def on_cpu(*operands):
        out = _call(instead, params)(*operands)
        return [set_xla_metadata(out, inlineable="false")]

    alone = tuple(context.module_context.platforms) == ("cpu",)
    lowered = mlir.lower_fun(on_cpu if alone else plain, multiple_results=True)
    return lowered(context, *operands)


@functools.lru_cache(maxsize=1024)
def _call(instead, params):
    return jax.jit(functools.partial(instead, **params))


for_cpu_p = _ForCPU("for_cpu")
for_cpu_p.def_abstract_eval(lambda *_, jaxpr, instead, params: jaxpr.out_avals)
mlir.register_lowering(for_cpu_p, _lowered)
