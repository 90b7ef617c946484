"""A rate as the fields of a form, and back. Pure.

What a field cannot say is carried over from the rate that the form began with.
"""

from dashboards.core.rate_forms.fields import PriceRow, RateFields, StepRow, TierRows, fill_fields, read_fields
from dashboards.core.rate_forms.reading import FieldProblem, ReadRate, ask_source, read_rate_form
from dashboards.core.rate_forms.text import read_rate_text, write_rate, write_rate_text

__all__ = [
    "FieldProblem",
    "PriceRow",
    "RateFields",
    "ReadRate",
    "StepRow",
    "TierRows",
    "ask_source",
    "fill_fields",
    "read_fields",
    "read_rate_form",
    "read_rate_text",
    "write_rate",
    "write_rate_text",
]
