"""What the page of the reports by mail shows: who gets which, what was sent last, and what the next one waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import QueryDict

from chargeback.core.reports.periods import CADENCES, find_period
from chargeback.core.reports.terms import DIMENSIONS
from chargeback.reports.history import SentReport, list_last_sent, list_waits
from chargeback.reports.subscriptions import Subscription, list_subscriptions
from dashboards.access import Seat
from dashboards.dimensions import WORDS
from dashboards.frame import make_link
from tenants.selectors import find_mail_addresses, name_people

STATE_WORDS = {"waiting": "on its way", "delivered": "sent", "dead": "given up", "withheld": "not sent"}
ME = "me"


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A subscription. sent, test: the last ones, None before the first. missing: what a report waits for that is due.

    next_at: in the tenant's time. gets_none: of a person who was deactivated.
    """

    subscription: Subscription
    recipient: str
    gets_none: bool
    sent: SentReport | None
    test: SentReport | None
    next_at: datetime
    missing: Sequence[str]
    may_change: bool

    @property
    def sent_words(self) -> str:
        return STATE_WORDS[self.sent.state] if self.sent else ""

    @property
    def test_words(self) -> str:
        return STATE_WORDS[self.test.state] if self.test else ""


def may_change(seat: Seat, subscription: Subscription) -> bool:
    """Everybody their own; who keeps channels everybody's."""
    return seat.may_keep_channels or subscription.person == seat.user_id


def list_rows(seat: Seat, *, now: datetime) -> list[SubscriptionRow]:
    """Those that the person may see: who does not keep channels sees no other one's address."""
    tenant = seat.tenant
    shown = [one for one in list_subscriptions(tenant_id=tenant.id) if may_change(seat, one)]
    last = list_last_sent(tenant_id=tenant.id, subscription_ids=[one.id for one in shown])
    people = [one.person for one in shown if one.person is not None]
    reachable = find_mail_addresses(people, tenant_id=tenant.id)
    names = name_people(people, tenant_id=None if seat.is_operator else tenant.id)
    rows = []
    for one in shown:
        sent = last.get((one.id, False))
        due, missing = list_waits(one, sent, tenant=tenant, now=now)
        rows.append(
            SubscriptionRow(
                subscription=one,
                recipient=one.address if one.person is None else names.get(one.person, "one of the operator’s people"),
                gets_none=one.person is not None and one.person not in reachable,
                sent=sent,
                test=last.get((one.id, True)),
                next_at=due.astimezone(ZoneInfo(tenant.timezone)),
                missing=missing,
                may_change=True,
            )
        )
    return rows


def list_previews(seat: Seat, *, now: datetime) -> list[tuple[str, str, str]]:
    """For each cadence its name, the days of its latest report, and where that is shown."""
    return [
        (
            cadence,
            find_period(cadence, now=now, timezone=seat.tenant.timezone).write(),
            make_link("report_preview", {**seat.link_query, "cadence": cadence}),
        )
        for cadence in CADENCES
    ]


def read_texts(form: QueryDict) -> dict[str, str]:
    """What was typed; of an empty form, what it begins with."""
    return {
        "cadence": form.get("cadence", CADENCES[0]),
        "to": form.get("to", ME),
        "address": form.get("address", "").strip(),
        "about": form.get("about", ""),
        "value": form.get("value", "").strip(),
    }


def make_document(texts: Mapping[str, str], seat: Seat) -> dict[str, Any]:
    """The subscription that the form means; who keeps no channels subscribes nobody else."""
    recipient: dict[str, Any] = {"person": seat.user_id}
    if texts["to"] != ME and seat.may_keep_channels:
        recipient = {"address": texts["address"]}
    scope = {texts["about"]: texts["value"]} if texts["about"] else {}
    return {"cadence": texts["cadence"], "scope": scope, **recipient}


def list_abouts() -> list[tuple[str, str]]:
    return [("", "Everything"), *((name, WORDS[name]) for name in DIMENSIONS)]
