"""The life of an alert: open → acknowledged → resolved, or snoozed for a while. One row an episode.

Whatever finds something calls `open_alert`, in the transaction that found it: the alert, its first event and a message
for each channel are there with it, or none of them is. A step that was taken before is taken once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

from django.db import connection, connections

from alerts.core.facts import Facts, read_facts, write_facts
from alerts.core.routing import Severity, rank_severity
from alerts.outbox import AlertRow, queue_messages, queue_opening
from tenants.scope import reading_scope, tenant_scope

Feedback = Literal["real", "planned", "wrong"]
FEEDBACK: tuple[Feedback, ...] = ("real", "planned", "wrong")

REMINDER_FACTOR = 2
REMINDER_EVERY = timedelta(hours=1)
SNOOZE_MAX = timedelta(days=30)


class AlertUnknown(LookupError):
    """The tenant has no such alert."""


class AlertStepRefused(ValueError):
    """A step that the alert's state does not have; the text says what to do instead."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """An alert that is not resolved, as the rule that opened it wants to know it."""

    id: int
    rule: str
    scope: Mapping[str, str]
    episode: str
    severity: Severity
    state: str
    impact: Decimal | None
    opened_at: datetime


OPEN_ALERT_SQL = """
    INSERT INTO alert (tenant_id, rule, scope, scope_hash, episode, severity, state, title, facts, impact, told_impact,
                       told_at, budget_id, owner, channel_ids, opened_at, changed_at, feedback)
    VALUES (%(tenant_id)s, %(rule)s, %(scope)s::jsonb, %(scope_hash)s, %(episode)s, %(severity)s, 'open', %(title)s,
            %(facts)s::jsonb, %(impact)s, %(impact)s, %(now)s, %(budget_id)s, %(owner)s, %(channel_ids)s::bigint[],
            %(now)s, %(now)s, '')
    ON CONFLICT (tenant_id, rule, scope_hash, episode) DO NOTHING
    RETURNING id"""


def open_alert(
    *,
    tenant_id: int,
    rule: str,
    scope: Mapping[str, str],
    episode: str,
    severity: Severity,
    title: str,
    facts: Mapping[str, Any] | Facts,
    impact: Decimal | None,
    budget_id: int | None = None,
    owner: str = "",
    channel_ids: Sequence[int] = (),
    noted: Mapping[str, str] | None = None,
    now: datetime,
) -> int | None:
    """Open an alert and queue what is told of it; its id, None where this episode was opened before.

    Call it in the transaction that found it. Two at once open one: the second waits for the first one's end.
    episode: what makes it the same finding again, of this rule and scope (a window's start and a threshold, the first
    hour of a spike). facts: of the shape of alerts.core.facts, further names are the rule's own. impact: USD.
    channel_ids: tell these, whatever they filter; none: all channels that take it. noted: the rule's own, in the
    history of its opening, where nothing changes it.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            OPEN_ALERT_SQL,
            {
                "tenant_id": tenant_id,
                "rule": rule,
                "scope": _dump(scope),
                "scope_hash": _hash_scope(scope),
                "episode": episode,
                "severity": severity,
                "title": title,
                "facts": _dump(_check_facts(facts)),
                "impact": impact,
                "budget_id": budget_id,
                "owner": owner,
                "channel_ids": list(channel_ids),
                "now": now,
            },
        )
        row = cursor.fetchone()
        if row is None:
            return None
        event_id = _add_event(tenant_id, row[0], "opened", facts=noted, now=now)
        queue_opening(_read_alert(tenant_id, row[0]), event_id=event_id, now=now)
        return row[0]


GROW_ALERT_SQL = """
    UPDATE alert
    SET impact = %(impact)s, facts = coalesce(%(facts)s::jsonb, facts), title = coalesce(%(title)s, title),
        severity = %(severity)s, changed_at = %(now)s,
        told_impact = CASE WHEN %(is_told)s THEN %(impact)s ELSE told_impact END,
        told_at = CASE WHEN %(is_told)s THEN %(now)s ELSE told_at END
    WHERE tenant_id = %(tenant_id)s AND id = %(alert_id)s"""


def grow_alert(
    *,
    tenant_id: int,
    alert_id: int,
    impact: Decimal | None,
    facts: Mapping[str, Any] | Facts | None = None,
    title: str | None = None,
    severity: Severity | None = None,
    now: datetime,
) -> bool:
    """Keep what an alert that goes on has come to; True where that is worth a reminder, which is queued.

    A reminder: the impact is twice what was last told, or the severity has risen; none within an hour of the last
    message, none while the alert is snoozed, and none of a resolved one, which stays as it is. The severity never
    falls. Raises AlertUnknown.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        alert = _lock_alert(tenant_id, alert_id)
        if alert.state == "resolved":
            return False
        raised = severity if severity and rank_severity(severity) > rank_severity(alert.severity) else alert.severity
        has_grown = raised != alert.severity or _has_doubled(alert.told_impact, impact)
        is_told = has_grown and alert.state != "snoozed" and now - alert.told_at >= REMINDER_EVERY
        cursor.execute(
            GROW_ALERT_SQL,
            {
                "tenant_id": tenant_id,
                "alert_id": alert_id,
                "impact": impact,
                "facts": None if facts is None else _dump(_check_facts(facts)),
                "title": title,
                # Kept until it can be told, so that the next call still sees it rise.
                "severity": raised if is_told else alert.severity,
                "is_told": is_told,
                "now": now,
            },
        )
        if is_told:
            event_id = _add_event(tenant_id, alert_id, "grown", facts={"impact": _write(impact)}, now=now)
            queue_messages(_read_alert(tenant_id, alert_id), kind="grown", event_id=event_id, now=now)
        return is_told


def _has_doubled(told: Decimal | None, impact: Decimal | None) -> bool:
    return impact is not None and impact > 0 and (told is None or impact >= REMINDER_FACTOR * told)


CHANGE_STATE_SQL = """
    UPDATE alert
    SET state = %(state)s, changed_at = %(now)s, snoozed_until = %(snoozed_until)s,
        resolved_at = CASE WHEN %(state)s = 'resolved' THEN %(now)s::timestamptz END
    WHERE tenant_id = %(tenant_id)s AND id = %(alert_id)s"""


def resolve_alert(*, tenant_id: int, alert_id: int, actor: str = "", comment: str = "", now: datetime) -> bool:
    """End an alert, and tell those who were told that it began; False where it had ended. Raises AlertUnknown.

    actor: '' where it is over by itself. Its episode does not open again.
    """
    with tenant_scope(tenant_id):
        if _lock_alert(tenant_id, alert_id).state == "resolved":
            return False
        _take_step(tenant_id, alert_id, "resolved", actor=actor, comment=comment, now=now)
        return True


def acknowledge_alert(*, tenant_id: int, alert_id: int, actor: str, comment: str = "", now: datetime) -> bool:
    """Say that somebody looks after it; False where that was so. Raises AlertUnknown, AlertStepRefused."""
    with tenant_scope(tenant_id):
        state = _lock_alert(tenant_id, alert_id).state
        _refuse_resolved(state)
        if state == "acknowledged":
            return False
        _take_step(tenant_id, alert_id, "acknowledged", actor=actor, comment=comment, now=now)
        return True


def snooze_alert(
    *, tenant_id: int, alert_id: int, until: datetime, actor: str, comment: str = "", now: datetime
) -> None:
    """Send no reminder until then, and open it again afterwards. Raises AlertUnknown, AlertStepRefused."""
    if not now < until <= now + SNOOZE_MAX:
        raise AlertStepRefused("wrong_time", f"An alert is snoozed for up to {SNOOZE_MAX.days} days from now.")
    with tenant_scope(tenant_id):
        _refuse_resolved(_lock_alert(tenant_id, alert_id).state)
        _take_step(tenant_id, alert_id, "snoozed", actor=actor, comment=comment, until=until, now=now)


SET_FEEDBACK_SQL = """
    UPDATE alert SET feedback = %(feedback)s, changed_at = %(now)s
    WHERE tenant_id = %(tenant_id)s AND id = %(alert_id)s"""


def give_feedback(
    *, tenant_id: int, alert_id: int, feedback: Feedback, actor: str, comment: str = "", now: datetime
) -> None:
    """Say whether the alert was right; a later word takes the place of an earlier one. Raises AlertUnknown."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        _lock_alert(tenant_id, alert_id)
        cursor.execute(
            SET_FEEDBACK_SQL, {"tenant_id": tenant_id, "alert_id": alert_id, "feedback": feedback, "now": now}
        )
        facts = {"feedback": feedback}
        _add_event(tenant_id, alert_id, "feedback", actor=actor, comment=comment, facts=facts, now=now)


LIST_SLEEPERS_SQL = """
    SELECT id FROM alert
    WHERE tenant_id = %(tenant_id)s AND state = 'snoozed' AND snoozed_until <= %(now)s
    ORDER BY id FOR UPDATE SKIP LOCKED"""


def wake_alerts(*, tenant_id: int, now: datetime) -> int:
    """Open those whose snooze is over again; how many. What has grown meanwhile is told at its next growth."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LIST_SLEEPERS_SQL, {"tenant_id": tenant_id, "now": now})
        alert_ids = [alert_id for (alert_id,) in cursor.fetchall()]
        for alert_id in alert_ids:
            _change_state(tenant_id, alert_id, "open", until=None, now=now)
            _add_event(tenant_id, alert_id, "woken", now=now)
    return len(alert_ids)


LIST_STANDING_SQL = """
    SELECT id, rule, scope, episode, severity, state, impact, opened_at
    FROM alert
    WHERE tenant_id = %(tenant_id)s AND state <> 'resolved' AND rule = ANY(%(rules)s)
    ORDER BY opened_at, id"""


def list_standing_alerts(*, tenant_id: int, rules: Sequence[str], using: str = "default") -> list[StandingAlert]:
    """The alerts of these rules that are not resolved, the oldest first: what a rule grows, or ends."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_STANDING_SQL, {"tenant_id": tenant_id, "rules": list(rules)})
        return [StandingAlert(row[0], row[1], json.loads(row[2]), *row[3:]) for row in cursor.fetchall()]


# --- one write each ------------------------------------------------------------------------------------


def _take_step(
    tenant_id: int,
    alert_id: int,
    step: Literal["resolved", "acknowledged", "snoozed"],
    *,
    actor: str,
    comment: str,
    now: datetime,
    until: datetime | None = None,
) -> None:
    """Change the state, keep who did it, and queue what is told of it: nobody is told of a snooze."""
    _change_state(tenant_id, alert_id, step, until=until, now=now)
    facts = {} if until is None else {"until": until.isoformat()}
    event_id = _add_event(tenant_id, alert_id, step, actor=actor, comment=comment, facts=facts, now=now)
    if step != "snoozed":
        alert = _read_alert(tenant_id, alert_id)
        queue_messages(alert, kind=step, event_id=event_id, comment=comment, now=now)


def _refuse_resolved(state: str) -> None:
    if state == "resolved":
        raise AlertStepRefused("resolved", "The alert is resolved; what comes next is an episode of its own.")


def _change_state(tenant_id: int, alert_id: int, state: str, *, until: datetime | None, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            CHANGE_STATE_SQL,
            {"tenant_id": tenant_id, "alert_id": alert_id, "state": state, "snoozed_until": until, "now": now},
        )


READ_ALERT_SQL = """
    SELECT tenant_id, id, rule, scope, severity, state, title, facts, impact, told_impact, told_at, owner, channel_ids,
           opened_at
    FROM alert
    WHERE tenant_id = %(tenant_id)s AND id = %(alert_id)s"""
LOCK_ALERT_SQL = f"{READ_ALERT_SQL} FOR UPDATE"


def _read_alert(tenant_id: int, alert_id: int, *, sql: str = READ_ALERT_SQL) -> AlertRow:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"tenant_id": tenant_id, "alert_id": alert_id})
        row = cursor.fetchone()
    if row is None:
        raise AlertUnknown(f"there is no alert {alert_id}")
    return AlertRow(*row[:3], json.loads(row[3]), *row[4:7], json.loads(row[7]), *row[8:])


def _lock_alert(tenant_id: int, alert_id: int) -> AlertRow:
    return _read_alert(tenant_id, alert_id, sql=LOCK_ALERT_SQL)


ADD_EVENT_SQL = """
    INSERT INTO alert_event (tenant_id, alert_id, event, happened_at, actor, comment, facts)
    VALUES (%(tenant_id)s, %(alert_id)s, %(event)s, %(now)s, %(actor)s, %(comment)s, %(facts)s::jsonb)
    RETURNING id"""


def _add_event(
    tenant_id: int,
    alert_id: int,
    event: str,
    *,
    actor: str = "",
    comment: str = "",
    facts: Mapping[str, str] | None = None,
    now: datetime,
) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            ADD_EVENT_SQL,
            {
                "tenant_id": tenant_id,
                "alert_id": alert_id,
                "event": event,
                "now": now,
                "actor": actor,
                "comment": comment,
                "facts": _dump(facts or {}),
            },
        )
        return cursor.fetchone()[0]


def _check_facts(facts: Mapping[str, Any] | Facts) -> Mapping[str, Any]:
    """As it is kept. Raises msgspec.ValidationError here, and not on the page, for a shape that none can show."""
    if isinstance(facts, Facts):
        return write_facts(facts)
    read_facts(facts)
    return facts


def _hash_scope(scope: Mapping[str, str]) -> bytes:
    return sha256(json.dumps(dict(scope), sort_keys=True, separators=(",", ":")).encode()).digest()


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False)


def _write(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"
