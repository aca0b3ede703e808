"""Random programs drawn by Hypothesis and compared, from a given random seed on."""

import collections
import functools

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from tests.fuzz import derivatives
from tests.fuzz.compare import Question, Refused, difference
from tests.fuzz.printed import as_test
from tests.fuzz.programs import programs

# Who takes the outer derivative, the inner one, and those inside of the program.
WHO = [
    ("jaxbp", "jaxbp", "jaxbp"),
    ("jaxbp", "jaxbp", "jax"),
    ("jaxbp", "jax", "jax"),
    ("jax", "jaxbp", "jaxbp"),
    ("jax", "jax", "jaxbp"),
]
RUNS = ["staged"] * 254 + ["live", "compiled"]  # those two compile: a second or more


class Disagreement(AssertionError):
    """A program on which the engine and JAX disagree, with its source."""


@st.composite
def questions(draw):
    """A derivative of each mode, and one of second order."""
    outer, inner, within = draw(st.sampled_from(WHO))
    second = draw(st.sampled_from(derivatives.SECOND))
    inside = draw(st.sampled_from(list(derivatives.INSIDE)))
    outside = draw(st.sampled_from(list(derivatives.OUTSIDE)))
    pull = draw(st.sampled_from([derivatives.vjp, derivatives.linearized]))
    run = draw(st.sampled_from(RUNS))
    ask = functools.partial(Question, outer="jaxbp", inner="jaxbp", within=within)
    return [
        ask(derivatives.jvp, run=run),
        ask(pull, run=run),
        Question(second, outer, inner, within, inside, outside, run),
    ]


def judge(program, asked, counts):
    """Puts the questions; raises Disagreement with a program that shows it."""
    counts["programs"] += 1
    for question in asked:
        if not derivatives.NEEDS[question.derivative] <= program.modes:
            continue
        try:
            gap = difference(program, question)
        except Refused as refusal:
            counts["refused by JAX"] += 1
            counts[f"refusal: {str(refusal)[:60]}"] += 1
            continue
        except Exception as error:
            error.add_note(as_test(program, question))
            raise
        counts["questions"] += 1
        if gap:
            raise Disagreement(f"{gap}\n\n{as_test(program, question)}")


def trial(count: int, seed: int, counts=None, **options) -> collections.Counter:
    """Compares `count` programs; raises what the smallest failing one raises.

    Args:
      count: how many programs to draw.
      seed: Hypothesis's; the same seed draws the same programs on the same versions.
      counts: a counter to add to.
      **options: of `programs`.
    """
    total = counts = collections.Counter() if counts is None else counts

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(programs(**options), questions())
    def compare(program, asked):
        nonlocal counts
        try:
            judge(program, asked, counts)
        except Exception:
            counts = collections.Counter()  # what shrinking tries is not counted
            raise

    compare()
    return total
