"""`jaxbp check pkg.mod:fn`: is its gradient right? 0 if all witnesses agree."""

from ..errors import InvalidArgument
from .options import Flag, Names, Number, Output, Text, TheCall, TheOutput, parsed

STATUS = {"agree": 0, "differ": 1, "not finite": 1, "cannot tell": 3}


def run(argv) -> int:
    """The exit status of `jaxbp check *argv`: 0, 1 or 3 (2 is a wrong command line)."""
    return STATUS[parsed(check, argv, "jaxbp check")]


def check(
    call: TheCall,
    grad: Text = None,
    points: int = 3,
    probes: int = 32,
    differences: bool = True,
    order: int = 1,
    rtol: Number = None,
    atol: float = 0.0,
    rules: Flag = False,
    expected: Names = (),
    output: TheOutput = Output(),  # noqa: B008
) -> str:
    """Is the gradient of a function right?

    Sets side by side the engine's reverse and forward mode, JAX's reverse and forward
    mode, and central differences, at the point given and at displaced points. Exit
    status 0 if all agree, 1 if they do not or f is not finite, 3 if it cannot be told:
    the gradient is no larger than the rounding of the function, or there is nothing to
    look at.

    Examples: `jaxbp check model.py:loss --shapes "f32[4] f32[8,4] f32[8]"`,
    `jaxbp check model.py:loss --grad model.py:my_gradient --argnums 1`.

    Args:
      call: The function and its arguments. Without --argnums by all of them, or by the
        first with --grad.
      grad: A gradient of your own to judge, as pkg.mod:fn, called like fn.
      points: Points to look at; those after the first are displaced at random.
      probes: Directions to look along in each leaf of the arguments.
      differences: Leave central differences out.
      order: 2 checks the derivatives of the gradient as well, once it agrees itself.
      rtol: Relative disagreement allowed. Left out, 2 eps^(2/3) of the coarsest dtype
        on the way, and eps^(3/5) for differences.
      atol: Absolute disagreement allowed in each element.
      rules: Check the functions with rules of their own that it calls instead, each at
        the values it sees.
      expected: With --rules, names of functions whose rules are meant to differ.
      output: How to show it.
    """
    from .. import diagnosis, witnesses
    from . import target

    _check_settings(points, probes, order, rtol)
    _check_together(
        rules,
        {
            "--grad": grad is not None,
            "--points": points != 3,
            "--probes": probes != 32,
            "--no-differences": not differences,
            "--order": order != 1,
            "--rtol": rtol is not None,
            "--atol": atol != 0,
            "--argnums": call.argnums is not None,
            "--has-aux": call.has_aux,
        },
        bool(expected),
    )
    output.check()
    f, args = call.load()
    if rules:
        with call.blamed(f"checking the rules in `{call.function}`", args):
            told = diagnosis.check_rules(f, *args, expected=expected, seed=call.seed)
        output.give(told)
        return told.verdict
    given = target.load_function(grad)[0] if grad else None
    with call.blamed(f"checking `{call.function}`", args):
        report = witnesses.check(
            f, *args, grad=given, argnums=call.wanted(None), has_aux=call.has_aux,
            points=points, probes=probes, seed=call.seed, differences=differences,
            rtol=rtol, atol=atol, order=order,
        )  # fmt: skip
    output.give(report)
    return report.verdict


def _check_together(rules: bool, others: dict[str, bool], expected: bool) -> None:
    """Options that would do nothing are refused."""
    if expected and not rules:
        raise InvalidArgument("`--expected` goes with `--rules`: add it.")
    idle = [name for name, given in others.items() if given]
    if rules and idle:
        raise InvalidArgument(
            f"with `--rules` {', '.join(f'`{name}`' for name in idle)} would do "
            "nothing: leave it out, or ask without `--rules`."
        )


def _check_settings(points: int, probes: int, order: int, rtol: float | None) -> None:
    for name, value in (("--points", points), ("--probes", probes)):
        if value < 1:
            raise InvalidArgument(f"`{name}` must be 1 or more, but is {value}.")
    if order not in (1, 2):
        raise InvalidArgument(f"`--order` must be 1 or 2, but is {order}.")
    if rtol is not None and not 0 <= rtol < 1:
        raise InvalidArgument(
            f"`--rtol` must be a number from 0 and below 1, but is {rtol}: by a share "
            "of 1 any two slopes agree."
        )
