"""The inbox: what waits for somebody, the worst first, and what is asked of the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import BadRequest
from django.http import QueryDict

from alerts.core.budgets import describe_scope
from alerts.core.routing import SEVERITIES, rank_severity
from alerts.inbox import STATES, AlertFilters, AlertInfo, list_alerts
from dashboards.access import Seat
from dashboards.frame import make_link, read_number

WAITING = "waiting"  # what is not resolved
STATE_WORDS = {
    WAITING: "not resolved", "open": "open", "acknowledged": "acknowledged", "snoozed": "snoozed",
    "resolved": "resolved", "all": "all",
}  # fmt: skip
LIVE_STATES = ("open", "acknowledged", "snoozed")
ALERTS_PER_PAGE = 100
OVER_DAYS, OVER_MAX = 14, 10


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert with where it leads. scope_words: the scope in words; about: 'everything' where it has none."""

    alert: AlertInfo
    about: str
    href: str
    rule_words: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for. state: of STATE_WORDS; the others '' for any."""

    state: str
    severity: str
    rule: str
    text: str

    @property
    def is_filtered(self) -> bool:
        return bool(self.severity or self.rule or self.text or self.state != WAITING)

    def make_filters(self) -> AlertFilters:
        states = {WAITING: LIVE_STATES, "all": ()}.get(self.state, (self.state,))
        return AlertFilters(
            states=states,
            severities=(self.severity,) if self.severity else (),
            rules=(self.rule,) if self.rule else (),
            text=self.text,
        )


def read_asked(query: QueryDict) -> Asked:
    """What the address asks for. Raises BadRequest."""
    state, severity = query.get("state", WAITING), query.get("severity", "")
    if state not in STATE_WORDS or severity not in ("", *SEVERITIES):
        raise BadRequest(f"state is one of {', '.join(STATE_WORDS)}, severity one of {', '.join(SEVERITIES)}")
    return Asked(state, severity, query.get("rule", ""), query.get("q", "").strip())


def read_inbox(seat: Seat, asked: Asked, query: QueryDict) -> tuple[list[AlertRow], int | None]:
    """The page's alerts, and the `cursor` of the next page.

    What is not resolved fits on one page nearly always: there the worst come first, then what nobody has taken, then
    the newest. Everything else is in the order of time.
    """
    before = read_number(query, "cursor") if query.get("cursor") else None
    alerts = list_alerts(
        tenant_id=seat.tenant.id, filters=asked.make_filters(), before=before, limit=ALERTS_PER_PAGE + 1
    )
    following = alerts[ALERTS_PER_PAGE - 1].id if len(alerts) > ALERTS_PER_PAGE else None
    shown = alerts[:ALERTS_PER_PAGE]
    if asked.state in (WAITING, *LIVE_STATES):
        shown = sorted(shown, key=lambda one: (-rank_severity(one.severity), STATES.index(one.state)))
    return [make_row(alert, link_query=seat.link_query) for alert in shown], following


def list_over(seat: Seat, *, now: datetime) -> list[AlertRow]:
    """The latest that are over, of OVER_DAYS, OVER_MAX at most."""
    filters = AlertFilters(states=("resolved",), start=now - timedelta(days=OVER_DAYS))
    over = list_alerts(tenant_id=seat.tenant.id, filters=filters, limit=OVER_MAX)
    return [make_row(alert, link_query=seat.link_query) for alert in over]


def make_row(alert: AlertInfo, *, link_query: Mapping[str, str]) -> AlertRow:
    return AlertRow(
        alert, describe_scope(alert.scope), make_link("alert", link_query, alert.id), write_rule(alert.rule)
    )


def write_rule(rule: str) -> str:
    """“Hourly spike”."""
    return rule.replace("_", " ").capitalize()


SNOOZES = (
    ("1", "for an hour"),
    ("8", "for 8 hours"),
    ("24", "for a day"),
    ("168", "for a week"),
)  # hours, and in words
