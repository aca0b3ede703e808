"""JAX's program representation, seen through one door.

Everything that depends on how JAX spells traces, primitives, equations and inner
programs stands here, and only here; JAX versions differ in this package and nowhere
else.
"""

from jax.core import ShapedArray as ShapedArray
from jax.core import Trace as Trace
from jax.core import Tracer as Tracer
from jax.extend.core import Literal as Literal
from jax.extend.core import Primitive as Primitive
from jax.extend.core import set_current_trace as set_current_trace
from jax.extend.core import take_current_trace as take_current_trace

from .arithmetic import Arithmetic as Arithmetic
from .known import known as known
from .precision import cast as cast
from .precision import in_precision as in_precision
from .precision import precision_of as precision_of
from .precision import x64 as x64
from .programs import CALLS as CALLS
from .programs import CHECKPOINTS as CHECKPOINTS
from .programs import Static as Static
from .programs import addupdate as addupdate
from .programs import call_beside as call_beside
from .programs import call_params as call_params
from .programs import called as called
from .programs import closed as closed
from .programs import constants_first as constants_first
from .programs import custom_cotangents as custom_cotangents
from .programs import equation_context as equation_context
from .programs import evaluate as evaluate
from .programs import evaluate_by as evaluate_by
from .programs import evaluate_equations as evaluate_equations
from .programs import evaluate_program as evaluate_program
from .programs import function_key as function_key
from .programs import inlined as inlined
from .programs import inner as inner
from .programs import inner_programs as inner_programs
from .programs import is_zero as is_zero
from .programs import jax_differentiates as jax_differentiates
from .programs import once_per_program as once_per_program
from .programs import primitive as primitive
from .programs import read as read
from .programs import read_value as read_value
from .programs import saveable as saveable
from .programs import scan_counts as scan_counts
from .programs import scan_split as scan_split
from .programs import staged as staged
from .programs import while_split as while_split
from .replay import operations as operations
from .replay import replay as replay
from .replay import shape_of as shape_of
from .replay import traced as traced
from .sources import Origin as Origin
from .sources import brief as brief
from .sources import call_line_of as call_line_of
from .sources import here as here
from .sources import is_ours as is_ours
from .sources import line_of as line_of
from .sources import user_line as user_line
from .traces import current_trace as current_trace
from .traces import is_staging as is_staging
from .traces import is_traced_plainly as is_traced_plainly
from .traces import perturbed as perturbed
from .values import Hole as Hole
from .values import array as array
from .values import as_weak_as as as_weak_as
from .values import barrier as barrier
from .values import content as content
from .values import differentiable as differentiable
from .values import differentiable_dtype as differentiable_dtype
from .values import explicit_sharding as explicit_sharding
from .values import full as full
from .values import is_batched as is_batched
from .values import is_ref as is_ref
from .values import is_tracer as is_tracer
from .values import nbytes as nbytes
from .values import one as one
from .values import placed as placed
from .values import replicate as replicate
from .values import stacked_like as stacked_like
from .values import struct as struct
from .values import tangent_aval as tangent_aval
from .values import typeof as typeof
from .values import varying as varying
from .values import zeros as zeros
