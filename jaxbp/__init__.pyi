# What type checkers and editors see of `jaxbp`: every public name with its signature.
# tests/test_editors.py holds it to the functions themselves.

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from jax import checkpoint as checkpoint

from . import checkpointing as checkpointing
from . import checks as checks
from . import costs as costs
from . import errors as errors
from . import layers as layers
from . import problems as problems
from . import rules as rules
from . import scalar as scalar
from . import scale as scale
from . import sparse as sparse
from . import study as study
from . import timing as timing
from . import training as training
from . import worked as worked
from .across.report import Plan as _Plan
from .checkpointing import Checkpointed as _Checkpointed
from .checks import Report as _CheckReport
from .costs import CostReport as _CostReport
from .costs import TapeReport as _TapeReport
from .covering import CoverageReport as _CoverageReport
from .diagnosis import GrowthReport as _GrowthReport
from .diagnosis import NanReport as _NanReport
from .diagnosis import RuleReport as _RuleReport
from .evaluation import EvaluationTrace as _Trace
from .linear.program import LinearProgram as LinearProgram
from .settings import Options as Options
from .settings import Within as _Within
from .timing import Roofs as _Roofs
from .transforms.products import Pullback as Pullback
from .transforms.products import Pushforward as Pushforward

__version__: str
__all__: list[str]

_Function = Callable[..., Any]
_Places = int | Sequence[int]

class _Planned(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def plan(self, *args: Any, measure: bool = False, **kwargs: Any) -> _Plan: ...

# As in JAX.

def grad(
    fun: _Function,
    argnums: _Places = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
    *,
    options: Options | None = None,
) -> _Function: ...
def value_and_grad(
    fun: _Function,
    argnums: _Places = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
    *,
    options: Options | None = None,
) -> Callable[..., tuple[Any, Any]]: ...
def checkpointed(
    fun: _Function, budget: int | str, argnums: _Places = 0
) -> _Checkpointed: ...
def jvp(
    fun: _Function,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    *,
    options: Options | None = None,
) -> tuple[Any, ...]: ...
def vjp(
    fun: _Function,
    *primals: Any,
    has_aux: bool = False,
    reduce_axes: Sequence[Any] = (),
    saveable_args: Any = True,
    in_nzs: Any = None,
    options: Options | None = None,
) -> tuple[Any, ...]: ...
def linearize(
    fun: _Function,
    *primals: Any,
    has_aux: bool = False,
    in_nzs: Any = None,
    options: Options | None = None,
) -> tuple[Any, ...]: ...
def jacfwd(
    fun: _Function,
    argnums: _Places = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> _Function: ...
def jacrev(
    fun: _Function,
    argnums: _Places = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> _Function: ...
def jacobian(
    fun: _Function,
    argnums: _Places = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> _Planned: ...
def hessian(
    fun: _Function,
    argnums: _Places = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> _Planned: ...

# Ours.

def laplacian(
    fun: _Function, argnums: int = 0, *, options: Options | None = None
) -> _Function: ...
def hessian_diagonal(
    fun: _Function, argnums: int = 0, *, options: Options | None = None
) -> _Function: ...
def hvp(
    fun: _Function,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    argnums: _Places | None = None,
    *,
    options: Options | None = None,
) -> Any: ...
def check(
    f: _Function,
    *args: Any,
    grad: _Function | None = None,
    value_and_grad: _Function | None = None,
    kwargs: Mapping[str, Any] | None = None,
    argnums: _Places | None = None,
    has_aux: bool = False,
    points: int = 3,
    probes: int = 32,
    seed: int = 0,
    differences: bool = True,
    rtol: float | None = None,
    atol: float = 0.0,
    order: int = 1,
) -> _CheckReport: ...

class Checker:
    f: _Function
    def __init__(
        self,
        f: _Function,
        *,
        kwargs: Mapping[str, Any] | None = None,
        argnums: _Places | None = None,
        has_aux: bool = False,
    ) -> None: ...
    def __call__(
        self,
        *args: Any,
        grad: _Function | None = None,
        value_and_grad: _Function | None = None,
        points: int = 3,
        probes: int = 32,
        seed: int = 0,
        differences: bool = True,
        rtol: float | None = None,
        atol: float = 0.0,
        order: int = 1,
    ) -> _CheckReport: ...

def cost(
    f: _Function,
    *args: Any,
    argnums: _Places | None = 0,
    has_aux: bool = False,
    while_trips: int | None = None,
    roofs: _Roofs | None = None,
) -> _CostReport: ...
def tape(
    f: _Function,
    *args: Any,
    argnums: _Places | None = 0,
    has_aux: bool = False,
    measure: bool = False,
) -> _TapeReport: ...
def trace(
    f: _Function,
    *args: Any,
    tangents: Any = None,
    cotangents: Any = None,
    has_aux: bool = False,
    depth: int = 0,
    steps: int = 3,
    argnums: _Places | None = None,
) -> _Trace: ...
def check_rules(
    f: _Function, *args: Any, expected: Sequence[str] = (), seed: int = 0
) -> _RuleReport: ...
def explain_nan(
    f: _Function,
    *args: Any,
    argnums: _Places = 0,
    cotangent: Any = None,
    tangents: Any = None,
    has_aux: bool = False,
) -> _NanReport: ...
def growth(
    f: _Function,
    *args: Any,
    argnums: _Places = 0,
    cotangent: Any = None,
    has_aux: bool = False,
) -> _GrowthReport: ...
def coverage(word: str = "") -> _CoverageReport: ...

# Options, by `with`.

def options(**changes: Any) -> _Within: ...
def association(early: bool = True) -> _Within: ...
def foreign(rules: str | None) -> _Within: ...
def loops(residuals: str = "auto", stack_limit_bytes: int | None = None) -> _Within: ...
def strict_custom_vjp() -> _Within: ...
