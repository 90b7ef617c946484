"""The rate document of `docs/rates.md`: read, checked as a whole, and written canonically."""

from billing.core.rate_documents.document import (
    METER_BY_USAGE,
    RateDocument,
    canonical_json,
    hash_content,
    leading_literal,
    window_minutes,
)
from billing.core.rate_documents.reading import (
    Problem,
    RatesFile,
    RatesRefused,
    parse_time,
    read_rates,
    read_rates_file,
)

__all__ = [
    "METER_BY_USAGE",
    "Problem",
    "RateDocument",
    "RatesFile",
    "RatesRefused",
    "canonical_json",
    "hash_content",
    "leading_literal",
    "parse_time",
    "read_rates",
    "read_rates_file",
    "window_minutes",
]
