"""What a span must be in either encoding, and what is said of one that is not."""

import msgspec

from api.problems import Problem

SPANS_PER_REQUEST_MAX = 20_000
LIST_ITEMS_MAX = 64  # of an attribute; more than any that is read has
NAME_LENGTH_MAX = 200
STATUS_ERROR = 2

TRACE_ID_FAULT = "trace_id is not 16 bytes (in JSON 32 hexadecimal digits), or all zero"
SPAN_ID_FAULT = "span_id is not 8 bytes (in JSON 16 hexadecimal digits), or all zero"
PARENT_ID_FAULT = "parent_span_id is not 8 bytes (in JSON 16 hexadecimal digits), or all zero"


class UnreadableSpan(msgspec.Struct, frozen=True):
    """A span that is none, by its place in the request. Nothing of it is kept but the reason."""

    index: int
    span_id: str
    detail: str


def check_count(count: int) -> None:
    """Raises Problem."""
    if count > SPANS_PER_REQUEST_MAX:
        raise Problem("too_many_events", f"{count:,} spans: at most {SPANS_PER_REQUEST_MAX:,} in one request.")


def clean_name(name: str) -> str:
    """A span's name as it can be kept: bounded, and without what PostgreSQL cannot hold."""
    return name[:NAME_LENGTH_MAX].replace("\x00", "")
