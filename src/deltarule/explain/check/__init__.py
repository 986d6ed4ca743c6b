"""Someone's numbers or code: the first wrong number, and the mistakes that explain it."""

from deltarule.explain.check.implementation import check_implementation
from deltarule.explain.check.report import Report
from deltarule.explain.check.worksheet import check_worksheet, worksheet_schema

__all__ = [
    "Report",
    "check_implementation",
    "check_worksheet",
    "worksheet_schema",
]
