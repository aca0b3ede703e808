"""Whole Jacobians and Hessians in the cheapest order: neither mode need be it."""

from .curvature import hessian_diagonal as hessian_diagonal
from .curvature import laplacian as laplacian
from .door import hessian as hessian
from .door import jacobian as jacobian
