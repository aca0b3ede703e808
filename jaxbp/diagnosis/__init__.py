"""Where a derivative goes wrong: the birthplace of a NaN, the rule that lies."""

from .explain import explain_nan
from .report import Birth, NanReport

__all__ = ["Birth", "NanReport", "explain_nan"]
