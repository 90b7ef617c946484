"""A moment among a command's arguments."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def parse_moment(text: str) -> datetime:
    """An ISO 8601 time with its zone, in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} has no zone; write it as 2026-01-01T00:00:00Z")
    return moment.astimezone(UTC)
