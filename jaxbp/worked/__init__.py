"""Worked examples: a small network computed by hand, every number shown.

from jaxbp import worked

example = worked.work(worked.load("mazur"))
print(example)  # every value, every gradient, the updated parameters
example.markdown(), example.latex(), example.picture()
"""

from .compute import Worked, work
from .description import Net, load, net

__all__ = ["Net", "Worked", "load", "net", "work"]
