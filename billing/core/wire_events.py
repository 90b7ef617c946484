"""Usage events as they are sent: one verdict an event, all of its problems at once. Two doors read them."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from billing.core.provider_usage import FieldRefused, ProviderUsageUnknown, read_provider_usage
from billing.core.usage import (
    METERS_PER_EVENT_MAX,
    OWN_BUCKETS,
    QUANTITY_MAX,
    Usage,
    UsageEvent,
    UsageInconsistent,
    split_usage,
)
from billing.core.usage_names import find_name_fault
from billing.core.wire import EVENT_BYTES_MAX, TAG_VALUE_LENGTH_MAX, WireEvent
from billing.core.wire_checks import (
    TIME_EXAMPLE,
    ItemProblem,
    ItemRefused,
    check_fields,
    check_nested,
    load_strictly,
    name_kind,
    open_cloudevent,
    printable,
)
from ledger.core.entries import OWN_TAGS

AGE_MAX = timedelta(days=400)
AHEAD_MAX = timedelta(minutes=5)
BACKFILL_FROM = datetime(2000, 1, 1, tzinfo=UTC)
MONEY_MAX = Decimal(10) ** 11
METER_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
TIME_FORM = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:[.]\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
UNREAD_TAG = "unread_counts"
CONTENT_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
STANDARD_TIERS = ("default", "auto", "on_demand")  # how providers spell "standard"


class ParsedItem(msgspec.Struct, frozen=True):
    """One event of a request: `event`, or the `problems` that it has. `raw` is its text where it was refused."""

    index: int
    event_id: str
    event: UsageEvent | None
    tenant: str  # named by the event; '' for the key's own
    problems: tuple[ItemProblem, ...] = ()
    raw: str = ""
    reservation_id: str = ""  # what was held for it: of no interest to the ledger


encode_wire = msgspec.json.Encoder(decimal_format="number").encode


def parse_event(
    raw: bytes, *, now: datetime, may_backfill: bool, index: int = 0, is_cloudevent: bool = False
) -> ParsedItem:
    """One event by itself, with a closer look: its text as it was sent, and what is wrong with it."""
    document: Any = {}
    try:
        document = load_strictly(raw)
        if is_cloudevent:
            document = open_cloudevent(document)
        problems = list(check_fields(document))
        if problems:
            raise ItemRefused(problems)
        wire = msgspec.convert(document, WireEvent)
    except ItemRefused as refused:
        event_id = document.get("id", "") if isinstance(document, dict) else ""
        return refuse_item(index, event_id if isinstance(event_id, str) else "", raw, refused.problems)
    return judge_event(index, wire, raw, now, may_backfill)


def judge_event(index: int, wire: WireEvent, raw: bytes, now: datetime, may_backfill: bool) -> ParsedItem:
    """The verdict on a well-formed event; without its text (`raw` empty) a refused one is written anew."""
    try:
        event = make_event(wire, now=now, may_backfill=may_backfill)
        return ParsedItem(index, wire.id, event, wire.tenant or "", reservation_id=wire.reservation_id or "")
    except ItemRefused as refused:
        return refuse_item(index, wire.id, raw or encode_wire(wire), refused.problems, wire.tenant or "")


def refuse_item(
    index: int, event_id: str, raw: bytes, problems: tuple[ItemProblem, ...], tenant: str = ""
) -> ParsedItem:
    """The verdict on an item that is not booked. Text that PostgreSQL cannot hold is kept escaped."""
    safe_id = event_id.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()[:256]
    text = raw[:EVENT_BYTES_MAX].decode("utf-8", "backslashreplace").replace("\x00", "\\u0000")
    return ParsedItem(index, safe_id, None, tenant, problems, text)


def make_event(wire: WireEvent, *, now: datetime, may_backfill: bool, time: datetime | None = None) -> UsageEvent:
    """The usage event that a well-formed wire event means. Raises ItemRefused.

    time: what the wire's text says, where it is known.
    """
    problems: list[ItemProblem] = []
    moment = (
        _check_time(time, now, may_backfill, problems) if time else _read_time(wire.time, now, may_backfill, problems)
    )
    usage, more = _read_usage(wire, problems)
    reported_cost = _read_reported_cost(wire.reported_cost or {}, problems) if wire.reported_cost is not UNSET else None
    status = wire.status or "ok"
    if status not in ("ok", "error"):
        problems.append(ItemProblem("status", "wrong_value", "must be “ok” or “error”"))
    if wire.content_digest and not CONTENT_DIGEST.fullmatch(wire.content_digest):
        problems.append(ItemProblem("content_digest", "wrong_value", "must be what POST /v1/content answered"))
    if wire.tags:
        problems += [
            ItemProblem(
                f"tags.{printable(name)}", "wrong_value", f"begins with {OWN_TAGS}, as ours do: name it otherwise"
            )
            for name in wire.tags
            if name.startswith(OWN_TAGS)
        ]
    if problems or moment is None or usage is None:
        raise ItemRefused(problems)
    service_tier = wire.service_tier or more.get("service_tier") or "standard"
    return UsageEvent(
        event_id=wire.id,
        source=wire.source or "",
        time=moment,
        provider=wire.provider,
        model=wire.model,
        usage=usage,
        response_id=wire.response_id or more.get("response_id") or "",
        requested_model=wire.requested_model or "",
        operation=wire.operation or "chat",
        environment=wire.environment or "production",
        feature=wire.feature or "",
        user=wire.user or "",
        cost_center=wire.cost_center or "",
        customer_tier=wire.customer_tier or "",
        session_id=wire.session_id or "",
        trace_id=wire.trace_id or "",
        span_id=wire.span_id or "",
        parent_span_id=wire.parent_span_id or "",
        service_tier="standard" if service_tier in STANDARD_TIERS else service_tier,
        region=wire.region or "",
        status=status,
        finish_reason=wire.finish_reason or "",
        latency_ms=None if wire.latency_ms is UNSET else wire.latency_ms,
        cache_hit=wire.cache_hit is True,
        prompt_hash=wire.prompt_hash or "",
        content_digest=wire.content_digest or "",
        tags={**more["tags"], **(wire.tags or {})} if more.get("tags") else wire.tags or {},
        reported_cost=reported_cost if reported_cost is not None else more.get("reported_cost"),
    )


def _read_time(text: str, now: datetime, may_backfill: bool, problems: list[ItemProblem]) -> datetime | None:
    """The moment in UTC, to the microsecond; finer digits are cut."""
    form = TIME_FORM.fullmatch(text)
    if not form or not form[1]:
        wrong = "has no zone" if form else f"{text[:40]!r} is no RFC 3339 time"
        problems.append(ItemProblem("time", "invalid_time", f"{wrong}; write it as {TIME_EXAMPLE}"))
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        problems.append(ItemProblem("time", "invalid_time", f"{text[:40]!r}: {error}"))
        return None
    return _check_time(moment, now, may_backfill, problems)


def _check_time(moment: datetime, now: datetime, may_backfill: bool, problems: list[ItemProblem]) -> datetime:
    if detail := tell_window(moment, now=now, may_backfill=may_backfill):
        problems.append(ItemProblem("time", "time_out_of_window", detail))
    return moment


def tell_window(moment: datetime, *, now: datetime, may_backfill: bool) -> str:
    """Why nothing of this time is booked, and the cure; '' where it is."""
    if moment > now + AHEAD_MAX:
        return "is more than 5 minutes ahead of the server's clock"
    if moment < (BACKFILL_FROM if may_backfill else now - AGE_MAX):
        return "is before 2000" if may_backfill else "is over 400 days old; book it with a key of scope “backfill”"
    return ""


def _read_usage(wire: WireEvent, problems: list[ItemProblem]) -> tuple[Usage | None, dict[str, Any]]:
    """The disjoint usage, and what the provider's own object said besides."""
    more: dict[str, Any] = {}
    field = "usage"
    quantities: Any = wire.usage
    if (wire.usage is UNSET) == (wire.provider_usage is UNSET):
        which = (
            "usage is required, or provider_usage"
            if wire.usage is UNSET
            else "usage stands beside provider_usage; send one"
        )
        problems.append(ItemProblem("usage", "missing_field" if wire.usage is UNSET else "duplicate_field", which))
        return None, more
    if wire.provider_usage is not UNSET:
        field = "provider_usage"
        if found := list(check_nested(field, wire.provider_usage, 1)):
            problems.extend(found)
            return None, more
        try:
            read = read_provider_usage(wire.provider, wire.provider_usage)
        except FieldRefused as refused:
            problems.append(ItemProblem(f"{field}.{refused.field}", "usage_inconsistent", refused.detail))
            return None, more
        except ProviderUsageUnknown as error:
            problems.append(ItemProblem(field, "provider_usage_unknown", str(error)))
            return None, more
        quantities = read.usage
        more = {
            "service_tier": read.service_tier,
            "response_id": read.response_id,
            "reported_cost": read.reported_cost,
            "tags": {UNREAD_TAG: _list_unread(read.unread_parts)} if read.unread_parts else {},
            "hint": f", read as {read.read_as}: name the provider that wrote it, or send `usage`",
        }
    found = [
        problem
        for name, value in quantities.items()
        if name not in OWN_BUCKETS or type(value) is not int or not 0 <= value <= QUANTITY_MAX
        for problem in _check_quantity(field, name, value)
    ]
    if len(quantities) > METERS_PER_EVENT_MAX:
        found.append(ItemProblem(field, "too_many", f"at most {METERS_PER_EVENT_MAX} meters"))
    if found:
        problems.extend(found)
        return None, more
    try:
        return split_usage(quantities), more
    except UsageInconsistent as error:
        problems.append(ItemProblem(field, "usage_inconsistent", f"{error}{more.get('hint', '')}"))
        return None, more


def _list_unread(parts: Mapping[str, int]) -> str:
    """Counts that we do not know, inside totals that we do, as a tag's text: as many as fit."""
    text = ", ".join(f"{printable(path)}={count}" for path, count in sorted(parts.items()))
    return text if len(text) <= TAG_VALUE_LENGTH_MAX else f"{text[: TAG_VALUE_LENGTH_MAX - 1]}…"


def _check_quantity(field: str, name: str, value: Any) -> Iterator[ItemProblem]:
    place = f"{field}.{printable(name)}"
    if field == "usage" and (fault := find_name_fault(name)):
        yield ItemProblem(place, "unknown_field", fault)
    elif not METER_NAME.fullmatch(name):
        yield ItemProblem(place, "unknown_field", "a meter's name is lower-case letters, digits and _, at most 64")
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        yield ItemProblem(place, "wrong_type", f"must be a number, not {name_kind(value)}")
    elif isinstance(value, Decimal) and (name.endswith("_tokens") or int(value.as_tuple().exponent) < -6):
        kind = "whole" if name.endswith("_tokens") else "of at most 6 decimals"
        is_whole = value == value.to_integral_value() and abs(value) <= QUANTITY_MAX
        cure = f": write {int(value)}, not {value}" if is_whole else ""
        yield ItemProblem(place, "wrong_type", f"must be a number, {kind}{cure}")
    elif not 0 <= value <= QUANTITY_MAX:
        yield ItemProblem(place, "out_of_range", f"must be 0 to {QUANTITY_MAX:,}")


def _read_reported_cost(cost: Mapping[str, Any], problems: list[ItemProblem]) -> Decimal | None:
    """The provider's own figure in USD, exact."""
    found = [
        ItemProblem(f"reported_cost.{printable(name)}", "unknown_field", "a cost has amount and currency")
        for name in cost
        if name not in ("amount", "currency")
    ]
    if cost.get("currency") != "USD":
        found.append(
            ItemProblem("reported_cost.currency", "currency_unsupported", "must be “USD”, the ledger's currency")
        )
    amount = None
    try:
        amount = Decimal(cost.get("amount", "")) if not isinstance(cost.get("amount"), bool | float) else None
    except (ArithmeticError, TypeError, ValueError):
        amount = None
    if amount is None or not amount.is_finite():
        found.append(ItemProblem("reported_cost.amount", "wrong_type", "must be a decimal, as text: “0.0123”"))
    elif not 0 <= amount < MONEY_MAX or int(amount.as_tuple().exponent) < -12:
        found.append(ItemProblem("reported_cost.amount", "out_of_range", "must be 0 to 10^11 with at most 12 decimals"))
    problems.extend(found)
    return None if found else amount
