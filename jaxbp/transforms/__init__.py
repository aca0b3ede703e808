"""The public functions: arguments checked, products, gradients, Jacobians."""

from .. import control  # noqa: F401 (puts the rules that walk programs into the table)
