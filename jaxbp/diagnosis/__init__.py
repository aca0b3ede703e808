"""Where a derivative goes wrong: the birthplace of a NaN, the rule that lies."""

from .explain import explain_nan
from .growth import GrowthReport, GrowthRow, growth
from .report import Birth, NanReport
from .rules import RuleReport, RuleRow, check_rules

__all__ = [
    "Birth",
    "GrowthReport",
    "GrowthRow",
    "NanReport",
    "RuleReport",
    "RuleRow",
    "check_rules",
    "explain_nan",
    "growth",
]
