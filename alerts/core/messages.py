"""What is told of an alert: one message, which each kind of channel dresses in its own way. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import msgspec

from alerts.core.budgets import describe_scope
from alerts.core.facts import Facts, Figure, read_facts
from alerts.core.routing import Severity, Telling, rank_severity

DELIVERY_NAMESPACE = UUID("6d4f7f2a-5a5e-5c0b-9d0e-0f6a3a1c7e55")
KIND_WORDS: Mapping[Telling, str] = {
    "opened": "Opened", "grown": "Grew", "acknowledged": "Acknowledged", "resolved": "Resolved", "digest": "Digest",
    "test": "Test",
}  # fmt: skip


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, as it is kept with its delivery. items: of a digest, the messages that it collects.

    impact: in USD, as text; '' where nobody knows it. scope_words: the scope in words. comment: a person's.
    """

    kind: Telling
    tenant: str
    tenant_name: str
    happened_at: datetime
    title: str
    sentence: str = ""
    severity: Severity = "info"
    alert_id: int | None = None
    rule: str = ""
    scope: Mapping[str, str] = {}
    scope_words: str = ""
    impact: str = ""
    figures: tuple[Figure, ...] = ()
    opened_at: datetime | None = None
    comment: str = ""
    items: tuple["Message", ...] = ()

    @property
    def subject(self) -> str:
        """One line: how bad, what became of it, what it is."""
        if self.kind == "opened":
            return f"[{self.severity}] {self.title}"
        return f"[{self.severity}] {KIND_WORDS[self.kind]}: {self.title}" if self.alert_id else self.title


def make_message(
    *,
    kind: Telling,
    tenant: str,
    tenant_name: str,
    happened_at: datetime,
    alert_id: int,
    rule: str,
    scope: Mapping[str, str],
    severity: Severity,
    title: str,
    impact: Decimal | None,
    facts: Mapping[str, Any],
    opened_at: datetime,
    comment: str = "",
) -> Message:
    """The message about one alert, with the figures that its page shows."""
    told = read_facts(facts)
    own = () if impact is None else (Figure("Impact", write_usd(impact)),)
    return Message(
        kind=kind,
        tenant=tenant,
        tenant_name=tenant_name,
        happened_at=happened_at,
        title=title,
        sentence=told.sentence,
        severity=severity,
        alert_id=alert_id,
        rule=rule,
        scope=dict(scope),
        scope_words=describe_scope(scope),
        impact="" if impact is None else f"{impact.normalize():f}",
        figures=(*own, *told.figures, *_list_causes(told, impact)),
        opened_at=opened_at,
        comment=comment,
    )


def _list_causes(told: Facts, impact: Decimal | None) -> Iterator[Figure]:
    """What the impact is made up of, where it adds up: “user u-17 +$600.55, others +$16.92”, “volume +$617.47”."""
    first = [mover for mover in told.movers if mover.dimension == told.movers[0].dimension]
    moved = [mover.actual - mover.expected for mover in first]
    if impact is not None and first and sum(moved) == impact:
        names = [f"{mover.dimension} {mover.value}" if mover.value else "others" for mover in first]
        yield Figure("Who moved", _write_sum(names, moved))
    if impact is not None and told.parts and sum(part.amount for part in told.parts) == impact:
        yield Figure("What kind", _write_sum([part.name for part in told.parts], [part.amount for part in told.parts]))


def _write_sum(names: Sequence[str], amounts: Sequence[Decimal]) -> str:
    told = zip(names, amounts, strict=True)
    return ", ".join(f"{name} {'+' if amount > 0 else ''}{write_usd(amount)}" for name, amount in told)


def make_digest(messages: Sequence[Message], *, happened_at: datetime) -> Message:
    """One message of many, at least one, of one tenant: the worst first, then the oldest."""
    items = tuple(sorted(messages, key=lambda one: (-rank_severity(one.severity), one.happened_at)))
    count = f"{len(items)} alert{'s' if len(items) > 1 else ''}"
    return Message(
        kind="digest",
        tenant=items[0].tenant,
        tenant_name=items[0].tenant_name,
        happened_at=happened_at,
        title=f"{items[0].tenant_name}: {count} since the last digest",
        severity=items[0].severity,
        items=items,
    )


def make_test(*, tenant: str, tenant_name: str, channel_name: str, happened_at: datetime) -> Message:
    """What *send test* sends."""
    return Message(
        kind="test",
        tenant=tenant,
        tenant_name=tenant_name,
        happened_at=happened_at,
        title=f"Test of the channel “{channel_name}” of {tenant_name}",
        sentence="Nothing happened: somebody asked whether messages arrive here. They do.",
    )


def write_usd(amount: Decimal) -> str:
    """“$1,349.33”, and the digits that count where it is less than a cent."""
    sign = "−" if amount < 0 else ""
    least = abs(amount)
    if least == 0 or least >= Decimal("0.01"):
        return f"{sign}${least:,.2f}"
    return f"{sign}${least:.2g}" if least >= Decimal("0.0001") else f"{sign}<$0.0001"


def identify_delivery(*parts: object) -> UUID:
    """The id of what these name: a tenant, then an alert, its event and a channel, or a channel and a digest's time."""
    return uuid5(DELIVERY_NAMESPACE, "/".join(map(str, parts)))


def write_message(message: Message) -> dict[str, Any]:
    """As JSON keeps it."""
    written: dict[str, Any] = msgspec.to_builtins(message)
    return written


def read_message(written: Mapping[str, Any]) -> Message:
    return msgspec.convert(dict(written), Message)
