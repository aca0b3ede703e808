"""The cases of one seed, judged: right ones must agree, planted ones must not.

`python -m tests.check_the_check.run right SEED [PLACE]`, or `planted`: a line of JSON
for each case as it is judged; with a place that case alone, and its report in words.
A function is compiled once and checked at several points, each a case.
"""

import itertools
import json
import re
import sys
import time
import traceback
import warnings
from typing import NamedTuple

CHUNK = 100  # cases of one seed that could be judged
POINTS, ERRORS = 6, 4  # that one function is checked at, that are planted in it
DRAWN, SEEDS_APART = 8, 10**4  # programs drawn at once, seeds of the draws
MODELS = 8  # one function of so many is a model
# What is wrong in JAX, and what a check has to say of it: digamma's rule below -8;
# log_ndtr below -20, in 64 bits 4e-9 from the function whose slope its rule is.
WRONG_IN_JAX = {
    "digamma": re.compile(
        r"The differences speak against jax \w+( and jax \w+)?\.",
    ),
    "log_ndtr": re.compile(
        r".*Every derivative rule says so and the values of f say otherwise", re.DOTALL
    ),
}
ASIDE = (
    "nothing to look at",
    "not finite",
    "skipped",
    "JAX is wrong",
    "XLA is wrong",
)  # no case


class Told(NamedTuple):
    """What became of one case.

    Fields:
      what, seed, place: which.
      verdict: "agree", "differ", "found", "MISSED", "CRASHED", ...
      kind: of what the case was.
      function: which of its seed's.
      seconds: that it took.
      failure: how it was made and what the report says, if it should say otherwise.
    """

    what: str
    seed: int
    place: int
    verdict: str
    kind: str
    function: int = 0
    seconds: float = 0.0
    failure: str = ""


def functions(seed, rng):
    """Random programs, drawn a few at a time, and models in turn, without end."""
    from tests.check_the_check import cases

    programs: list = []
    for number in itertools.count():
        if number % MODELS == MODELS - 1:
            yield cases.model(rng)
            continue
        if not programs:
            draw = seed * SEEDS_APART + number
            programs = cases.random_programs(draw, DRAWN)[::-1]
        yield cases.moved(programs.pop(), rng) if programs else cases.model(rng)


def right(seed, only=None):
    """Checks right gradients, `CHUNK` that could be judged, each a Told; or those of
    the one function that is looked at in a place."""
    import jax
    import numpy as np

    import jaxbp

    judged = place = 0
    for number, case in enumerate(functions(seed, np.random.default_rng(seed))):
        if only is not None and only >= place + POINTS:
            place += POINTS
            continue
        checker = jaxbp.Checker(case.f)
        for point in range(POINTS):
            start = time.perf_counter()
            report, said = _checked(lambda: checker(*case.at(point), seed=place))  # noqa: B023
            if said == "CRASHED" and _cannot_run(case.f, case.at(point)):
                said = "skipped"
            if said == "differ" and _jax_is_wrong(case.source, report):
                said = "JAX is wrong"
            if said == "differ":
                said = _as_users_compile(case, point, place)
            took = round(time.perf_counter() - start, 2)
            failure = "" if said == "agree" else f"{case.source}\n{report}"
            yield Told("right", seed, place, said, case.kind, number, took, failure)
            place += 1
            if said in ASIDE:  # it would be so at its other points
                place += POINTS - 1 - point
                break
            judged += 1
        jax.clear_caches()
        if judged >= CHUNK or only is not None:
            return


def planted(seed, only=None):
    """Checks planted errors above the noise, `CHUNK` of them, each a Told."""
    import jax
    import numpy as np

    from tests.check_the_check.planted import Ground

    rng, place = np.random.default_rng(seed), 0
    for number, case in enumerate(functions(seed, rng)):
        try:
            ground = Ground(case)
            errors = list(ground.errors(rng, ERRORS))
        except Exception:  # a while_loop: JAX has no reverse mode of it
            continue
        for error in errors:
            if only in (None, place):
                start = time.perf_counter()
                report, said = _checked(error.check)
                took = round(time.perf_counter() - start, 2)
                said = {"differ": "found", "agree": "MISSED"}.get(said, said)
                effect = f"{error.kind}, {error.effect:.1e} of the largest entry"
                failure = (
                    "" if said == "found" else f"{effect}, {case.source}\n{report}"
                )
                yield Told(
                    "planted", seed, place, said, error.kind, number, took, failure
                )
            place += 1
        jax.clear_caches()
        if place >= CHUNK:
            return


def _checked(check):
    """(the report, its verdict); "skipped" where nobody can differentiate."""
    from jaxbp.checks.rows import NOT_FINITE
    from jaxbp.errors import JaxbpError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            report = check()
    except JaxbpError as error:
        return str(error).replace("\n", " "), "skipped"
    except Exception:
        return traceback.format_exc(limit=-6), "CRASHED"
    if report.failures and all(row.verdict == NOT_FINITE for row in report.failures):
        return report, "not finite"  # a program's gradient may well be NaN
    return report, report.verdict if report.looked_at else "nothing to look at"


def _jax_is_wrong(source, report):
    """Whether every finding is what has to be said of what is wrong in JAX."""
    said = [finding.sentence for finding in report.findings]
    known = [truth for name, truth in WRONG_IN_JAX.items() if name in source]
    return bool(said) and any(all(map(truth.match, said)) for truth in known)


def _as_users_compile(case, point, place):
    """The verdict where XLA optimizes: without, it has been seen to get a slope wrong
    by a thousandth that all others, and it itself by its defaults, get right."""
    import jax

    import jaxbp

    jax.config.update("jax_disable_most_optimizations", False)
    try:
        checker = jaxbp.Checker(case.f)
        _, said = _checked(lambda: checker(*case.at(point), seed=place))
    finally:
        jax.config.update("jax_disable_most_optimizations", True)
    return "XLA is wrong" if said == "agree" else said


def _cannot_run(f, args):
    """Whether XLA refuses the function itself, or what JAX makes of it in reverse, as
    an FFT in an order that it chose."""
    import jax

    def reverse(*args):
        y, pull = jax.vjp(f, *args)
        return pull(y)

    for program in (f, reverse):
        try:
            jax.jit(program)(*args)
        except jax.errors.JaxRuntimeError:
            return True
    return False


def main(what, seed, place=None):
    import jax

    import tests.conftest  # noqa: F401 (64-bit)

    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # as its users have it
    jax.config.update("jax_numpy_rank_promotion", "allow")
    judge = {"right": right, "planted": planted}[what]
    for told in judge(int(seed), None if place is None else int(place)):
        if place is None:
            print(json.dumps(told), flush=True)
        elif told.place == int(place):
            print(f"{told.verdict}: {told.kind}\n{told.failure}")


if __name__ == "__main__":
    main(*sys.argv[1:])
