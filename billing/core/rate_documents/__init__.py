"""The rate document of `docs/rates.md`: read, checked as a whole, and written canonically."""

from billing.core.rate_documents.document import (
    METER_BY_USAGE,
    RateDocument,
    canonical_json,
    has_nested_repeats,
    hash_content,
    leading_literal,
    window_minutes,
)
from billing.core.rate_documents.reading import (
    Problem,
    RatesFile,
    RatesRefused,
    find_repeated_names,
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
    "find_repeated_names",
    "has_nested_repeats",
    "hash_content",
    "leading_literal",
    "parse_time",
    "read_rates",
    "read_rates_file",
    "window_minutes",
]
