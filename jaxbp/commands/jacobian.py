"""`jaxbp jacobian pkg.mod:fn`: in which order is its whole Jacobian cheapest?"""

from .options import Flag, Output, Text, TheCall, TheOutput, parsed


def run(argv) -> int:
    """The exit status of `jaxbp jacobian *argv`."""
    parsed(jacobian, argv, "jaxbp jacobian")
    return 0


def jacobian(
    call: TheCall,
    hessian: Flag = False,
    measure: Flag = False,
    budget: Text = None,
    output: TheOutput = Output(),  # noqa: B008
):
    """In which order is a whole Jacobian had for the least?

    Plans the two modes and orders of elimination from the types alone, as
    `jaxbp.jacobian` does where it is traced: flops, products, the largest array and a
    predicted time of each, which is taken, and why. Nothing is run but with --measure;
    with --budget the ways are compiled, too.

    Examples:
    `jaxbp jacobian model.py:step --shapes "f32[512] f32[8,512] f32[512,8]"`,
    `jaxbp jacobian model.py:energy --shapes "f32[64,3]" --hessian --measure`,
    `jaxbp jacobian model.py:outer --shapes "f32[512]" --budget 2MB`.

    Args:
      call: The function and its arguments. Without --argnums by the first.
      hessian: Of a scalar function, plan its Hessian.
      measure: Run each way, and show its time beside.
      budget: Bytes, or such as 60MB: what XLA may plan for arguments, tape, Jacobian
        and what stands between. Tells which way keeps within it, in which chunks.
      output: How to show it.
    """
    from .. import across
    from ..display import waiting
    from ..errors import InvalidArgument

    output.check()
    f, args = call.load(typed=not measure)
    what = "Hessian" if hessian else "Jacobian"
    door = across.hessian if hessian else across.jacobian
    with waiting(f"planning the {what} of {call.function} ..."):
        with call.blamed(f"planning the {what} of `{call.function}`", args):
            planned = door(f, call.wanted(0), call.has_aux, budget_bytes=budget)
            report = planned.plan(*args, measure=measure)  # pyright: ignore
    if not report.outputs:
        raise InvalidArgument(
            f"`{call.function}` must return arrays, or it has no {what}, but its "
            "output holds no number. Does it end in `return`?"
        )
    output.give(report)
