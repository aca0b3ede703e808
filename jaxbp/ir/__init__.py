"""JAX's program representation, seen through one door.

Everything that depends on how JAX spells traces, primitives, equations and inner
programs stands here, and only here; JAX versions differ in this package and nowhere
else.
"""

from jax.core import ShapedArray, Trace, Tracer
from jax.extend.core import (
    Literal,
    Primitive,
    set_current_trace,
    take_current_trace,
)

from .arithmetic import Arithmetic
from .precision import cast, in_precision, precision_of, x64
from .programs import (
    addupdate,
    call_params,
    called,
    closed,
    custom_cotangents,
    equation_context,
    evaluate,
    evaluate_program,
    inlined,
    inner,
    inner_programs,
    once_per_program,
    primitive,
    read,
    saveable,
    scan_counts,
    source_line,
    staged,
    user_line,
)
from .replay import (
    replay,
    traced,
)
from .traces import (
    current_trace,
    is_staging,
    perturbed,
)
from .values import (
    Hole,
    array,
    as_weak_as,
    barrier,
    content,
    differentiable,
    differentiable_dtype,
    full,
    is_ref,
    is_tracer,
    placed,
    replicate,
    struct,
    tangent_aval,
    typeof,
    varying,
    zeros,
)

__all__ = [
    "Arithmetic",
    "Hole",
    "Literal",
    "Primitive",
    "ShapedArray",
    "Trace",
    "Tracer",
    "addupdate",
    "array",
    "as_weak_as",
    "barrier",
    "call_params",
    "called",
    "cast",
    "closed",
    "content",
    "current_trace",
    "custom_cotangents",
    "differentiable",
    "differentiable_dtype",
    "equation_context",
    "evaluate",
    "evaluate_program",
    "full",
    "in_precision",
    "inlined",
    "inner",
    "inner_programs",
    "is_ref",
    "is_staging",
    "is_tracer",
    "once_per_program",
    "perturbed",
    "placed",
    "precision_of",
    "primitive",
    "read",
    "replay",
    "replicate",
    "saveable",
    "scan_counts",
    "set_current_trace",
    "source_line",
    "staged",
    "struct",
    "take_current_trace",
    "tangent_aval",
    "traced",
    "typeof",
    "user_line",
    "varying",
    "x64",
    "zeros",
]
