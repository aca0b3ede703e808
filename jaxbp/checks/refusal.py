"""In whole sentences: why a witness has no derivative to offer."""

import re
import traceback

from .eager import NEEDS_VALUES

LONGEST = 300  # characters of somebody else's message; cut at the end of a sentence
NOT_THE_USERS = re.compile(r"[/\\](jax|jaxlib|jaxbp|numpy|contextlib\.py)([/\\]|$)")


def reason(error, f_name):
    """What `error` says about `f`, in one or two whole sentences."""
    where = user_place(error)
    at = f" ({where})" if where else ""
    if (
        isinstance(error, NEEDS_VALUES)
        or "TracerArrayConversion" in type(error).__name__
    ):
        return (
            f"`{f_name}` turns a traced value into a number or a numpy array{at}, "
            "which nobody can differentiate through: write jnp where it says np, and "
            "jnp.where or lax.cond where it branches on a value."
        )
    return f"{type(error).__name__}: {first_sentences(str(error))}"


def first_sentences(text, longest=LONGEST):
    """The sentences of `text` that fit, at least one whole."""
    text = " ".join(text.split())
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", text)
    said = sentences[0]
    for sentence in sentences[1:]:
        if len(said) + len(sentence) >= longest:
            break
        said += " " + sentence
    return said if said.endswith((".", "!", "?")) else said + "."


def user_place(error):
    """file:line of the deepest frame that is the user's own; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not NOT_THE_USERS.search(f.filename)]
    own = [f for f in own if not f.filename.startswith("<frozen")]
    if not own:
        return ""
    name = re.split(r"[/\\]", own[-1].filename)[-1]
    return f"{name}:{own[-1].lineno}"
