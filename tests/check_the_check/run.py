"""The cases of one seed, judged: right ones must agree, planted ones must not.

`python -m tests.check_the_check.run right SEED [PLACE]`, or `planted`: a line of JSON
for each case as it is judged; with a place that case alone, and its report in words.
"""

import json
import sys
import time
import traceback
import warnings
from typing import NamedTuple

CHUNK = 50  # cases of one seed
MODELS = 10  # one case of so many is a model: it takes three times as long


class Told(NamedTuple):
    """What became of one case.

    Fields:
      what, seed, place: which.
      verdict: "agree", "differ", "found", "MISSED", "CRASHED", ...
      kind: of what the case was.
      seconds: that it took.
      failure: how it was made and what the report says, if it should say otherwise.
    """

    what: str
    seed: int
    place: int
    verdict: str
    kind: str
    seconds: float = 0.0
    failure: str = ""


def right(seed, only=None):
    """Judges `CHUNK` right gradients, each a Told; or one place alone."""
    import numpy as np

    import jaxbp
    from tests.check_the_check import cases

    rng = np.random.default_rng(seed)
    programs = iter(cases.random_programs(seed, CHUNK))
    for place in range(CHUNK):
        case = (
            cases.model(rng)
            if place % MODELS == MODELS - 1
            else cases.moved(next(programs), rng)
        )
        if only not in (None, place):
            continue
        start = time.perf_counter()
        report, said = _checked(lambda: jaxbp.check(case.f, *case.args, seed=place))  # noqa: B023
        took = time.perf_counter() - start
        kind = f"because {report[:90]}" if said == "skipped" else case.kind
        wrong = said not in ("agree", "nothing to look at", "not finite", "skipped")
        failure = f"{case.source}\n{report}" if wrong or only is not None else ""
        yield Told("right", seed, place, said, kind, round(took, 2), failure)


def planted(seed, only=None):
    """Judges `CHUNK` planted errors above the noise, each a Told."""
    import numpy as np

    from tests.check_the_check import cases, planted

    rng = np.random.default_rng(seed)
    programs = iter(cases.random_programs(seed, 3 * CHUNK))
    place = 0
    while place < CHUNK:
        program = None if place % 5 == 4 else next(programs, None)
        case = cases.moved(program, rng) if program else cases.model(rng)
        error = planted.error_in(case, rng)
        if error is None:
            continue
        if only in (None, place):
            start = time.perf_counter()
            report, said = _checked(error.check)
            took = time.perf_counter() - start
            name = {"differ": "found", "agree": "MISSED"}.get(said, said)
            told = f"{error.name}, {case.source}\n{report}"
            failure = told if name != "found" or only is not None else ""
            yield Told(
                "planted", seed, place, name, error.kind, round(took, 2), failure
            )
        place += 1


def _checked(check):
    """(the report as text, its verdict); "skipped" where nobody can differentiate."""
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
        return str(report), "not finite"  # a program's gradient may well be NaN
    return str(report), report.verdict if report.looked_at else "nothing to look at"


def main(what, seed, place=None):
    import jax

    import tests.conftest  # noqa: F401 (64-bit)

    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # as its users have it
    jax.config.update("jax_numpy_rank_promotion", "allow")
    judge = {"right": right, "planted": planted}[what]
    for told in judge(int(seed), None if place is None else int(place)):
        print(json.dumps(told) if place is None else told.failure, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
