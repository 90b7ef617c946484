"""Answers as JSON, whatever the Accept header says: nothing else is spoken here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# Money is text by now (`write_money`): a Decimal that is left is a quantity, and stays a number, digit by digit.
encode_json = msgspec.json.Encoder(decimal_format="number").encode


class JSONRenderer(BaseRenderer):
    """Values that JSON lacks were written by `write_money` and `write_time` before."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else encode_json(data) + b"\n"  # a terminal's prompt then has its own line


class AlwaysJSON(BaseContentNegotiation):
    """A client's Accept header is no reason to refuse it."""

    def select_parser(self, request: Request, parsers: Sequence[Any]) -> Any:
        return parsers[0] if parsers else None

    def select_renderer(
        self, request: Request, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class NoMetadata(BaseMetadata):
    """OPTIONS answers with the Allow header alone; the contract is `/v1/schema`."""

    def determine_metadata(self, request: Request, view: Any) -> None:
        return None


def write_money(amount: Decimal | None) -> str | None:
    """All twelve decimals of the ledger, as PostgreSQL writes them; None stays None: unpriced is not zero.

    >>> write_money(Decimal("0.0036"))
    '0.003600000000'
    """
    return None if amount is None else f"{amount:.12f}"


def write_time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, always with six decimals.

    >>> write_time(datetime(2026, 11, 22, 5, tzinfo=UTC))
    '2026-11-22T05:00:00.000000Z'
    """
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
