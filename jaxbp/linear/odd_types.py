"""Cotangents of another type than their argument's: told when something fails on them.

JAX takes them from a custom backward rule, and so does this engine; where such a
cotangent meets another of the right type, the error about the two should say from which
rule it came.
"""

import collections
import contextlib

odd_types: collections.deque[str] = collections.deque(maxlen=4)  # sentences


@contextlib.contextmanager
def types_explained():
    """Adds to an error about types which backward rules gave unexpected ones."""
    odd_types.clear()
    try:
        yield
    except TypeError as error:
        for text in dict.fromkeys(odd_types):
            error.add_note(text)
        raise
