"""The cases of one seed, judged: right ones must agree, planted ones must not."""

import collections
import json
import sys
import traceback
import warnings

CHUNK = 20  # cases of one seed


def right(seed):
    """Verdicts of `jaxbp.check` on `CHUNK` right gradients, and what went wrong."""
    import numpy as np

    import jaxbp
    from tests.check_the_check import cases

    rng = np.random.default_rng(seed)
    programs = iter(cases.random_programs(seed, CHUNK))
    counts, wrong = collections.Counter(), []
    for place in range(CHUNK):
        case = cases.model(rng) if place % 4 == 3 else cases.moved(next(programs), rng)
        report, said = _checked(lambda: jaxbp.check(case.f, *case.args, seed=place))  # noqa: B023
        counts[said] += 1
        counts[f"{said}: {case.kind}"] += 1
        if said == "skipped":
            counts[f"skipped because {report[:90]}"] += 1
        elif said not in ("agree", "nothing to look at", "not finite"):
            wrong.append(f"{said}: seed {seed}, case {place}, {case.source}\n{report}")
    return counts, wrong


def planted(seed):
    """Verdicts on planted errors above the noise."""
    import jax
    import numpy as np

    import jaxbp
    from tests.check_the_check import cases, planted

    rng = np.random.default_rng(seed)
    programs = iter(cases.random_programs(seed, 3 * CHUNK))
    counts, wrong, done = collections.Counter(), [], 0
    while done < CHUNK:
        program = None if done % 3 == 2 else next(programs, None)
        case = cases.moved(program, rng) if program else cases.model(rng)
        mistake = planted.MISTAKES[rng.integers(len(planted.MISTAKES))]
        how = ("grad", "rule")[rng.integers(2)]
        places = tuple(range(len(case.args))) if len(case.args) > 1 else 0
        f = planted.weighted(case)
        try:
            derive = jax.jit(jax.grad(f, places))
            gradient = derive(*case.args)
        except Exception:
            counts["not differentiated by JAX in reverse"] += 1
            continue
        found = planted.plant(gradient, mistake, rng)
        dtypes = {str(x.dtype) for x in jax.tree.leaves(case.args)}
        coarsest = "float32" if dtypes & {"float32", "complex64"} else "float64"
        low = "bf16" in str(jax.make_jaxpr(case.f)(*case.args))
        if found is None or found[2] < planted.VISIBLE[how, coarsest] or low:
            continue
        j, change, effect = found
        done += 1

        def check():
            if how == "grad":  # noqa: B023
                g = lambda *a: planted.changed(derive(*a), j, change)  # noqa: B023, E731
                return jaxbp.check(f, *case.args, grad=g, argnums=places, points=1)  # noqa: B023
            ruled = planted.with_wrong_rule(f, j, change)  # noqa: B023
            return jaxbp.check(ruled, *case.args, points=1)  # noqa: B023

        report, said = _checked(check)
        name = {"differ": "found", "agree": "MISSED"}.get(said, said)
        counts[name] += 1
        counts[f"{name}: {mistake} in a {how}, {coarsest}"] += 1
        if name != "found":
            wrong.append(
                f"{name}: seed {seed}, {mistake} in a {how} (effect {effect:.1e}), "
                f"{case.source}\n{report}"
            )
    return counts, wrong


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


def main(what, seed):
    import jax

    import tests.conftest  # noqa: F401 (64-bit)

    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # as its users have it
    jax.config.update("jax_numpy_rank_promotion", "allow")
    counts, wrong = {"right": right, "planted": planted}[what](int(seed))
    print(json.dumps([what, int(seed), counts, wrong]))


if __name__ == "__main__":
    main(*sys.argv[1:])
