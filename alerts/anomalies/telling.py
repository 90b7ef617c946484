"""Makes alerts of what was found: one an episode, which grows while it goes on and ends after some quiet."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db import connections, transaction

from alerts.anomalies.explaining import explain_finding
from alerts.core.findings import (
    PERIODS,
    RULES,
    Course,
    Finding,
    freeze_scope,
    keep_peak,
    rate_finding,
    read_course,
    to_usd,
    write_finding,
    write_title,
)
from alerts.core.routing import NOBODY
from alerts.episodes import grow_alert, open_alert, resolve_alert
from tenants.scope import tenant_scope

# So many alerts of a rule are opened for a tenant by one run; the others are counted in one.
OPENED_MAX = 5
MORE = "more_anomalies"
MORE_QUIET = timedelta(days=1)
# An alert that somebody has ended is still known to the rule for so long, so that its episode is not told again.
ENDED_KNOWN = timedelta(days=2)

Place = tuple[int, str, tuple[tuple[str, str], ...]]
# By rule, by tenant: up to when a run has judged. What stands of it and was not found is over, after its quiet.
Judged = Mapping[str, Mapping[int, datetime]]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a run's findings. counted: that were not told one by one."""

    found: int
    opened: int
    grown: int
    resolved: int
    counted: int

    def __str__(self) -> str:
        return (
            f"{self.found} anomalies, {self.opened} alerts opened, {self.grown} grown, {self.resolved} resolved, "
            f"{self.counted} only counted"
        )


@dataclass(frozen=True)
class _Standing:
    alert_id: int
    is_over: bool
    facts: Mapping[str, Any]
    changed_at: datetime

    @cached_property
    def course(self) -> Course:
        return read_course(self.facts)


LIST_STANDING_FINDINGS_SQL = """
    SELECT tenant_id, rule, scope, id, state = 'resolved', facts, changed_at
    FROM alert
    WHERE rule = ANY(%(rules)s) AND (state <> 'resolved' OR changed_at > %(known_from)s)
    ORDER BY opened_at, id"""


def tell_findings(findings: Iterable[Finding], *, judged: Judged, now: datetime) -> Told:
    """Open, grow and end alerts. The same findings again change nothing."""
    found: dict[Place, list[Finding]] = defaultdict(list)
    for finding in findings:
        found[finding.place].append(finding)
    standing = _list_standing(now=now)
    opening: dict[tuple[int, str], list[list[Finding]]] = defaultdict(list)
    grown = 0
    for place, several in found.items():
        several.sort(key=lambda one: one.anomaly.when)
        known = standing.get(place)
        if known and _goes_on(known, several, rule=place[1]):
            grown += not known.is_over and _grow(known, several, now=now)
        elif any(one.opens for one in several) and not _is_told_as_part(place, found, standing):
            opening[place[:2]].append(several)
    opened = sum(_open(several, now=now) for several in opening.values())
    resolved = sum(
        _resolve(place[0], known, now=now)
        for place, known in standing.items()
        if _is_over(place, known, found=found, judged=judged, now=now)
    )
    counted = sum(max(0, len(several) - OPENED_MAX) for several in opening.values())
    return Told(sum(map(len, found.values())), opened, grown, resolved, counted)


def _list_standing(*, now: datetime) -> dict[Place, _Standing]:
    """The latest alert of each place, of all tenants."""
    values = {"rules": [*RULES, MORE], "known_from": now - ENDED_KNOWN}
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_STANDING_FINDINGS_SQL, values)
        return {
            (tenant_id, rule, freeze_scope(json.loads(scope))): _Standing(
                alert_id, is_over, json.loads(facts), changed_at
            )
            for tenant_id, rule, scope, alert_id, is_over, facts, changed_at in cursor.fetchall()
        }


def _is_told_as_part(place: Place, found: Mapping[Place, object], standing: Mapping[Place, _Standing]) -> bool:
    """Whether an alert about all that the tenant spends goes on, or begins, of which this is a part."""
    tenant_id, rule, scope = place
    whole = (tenant_id, rule, ())
    return bool(scope) and (whole in found or (whole in standing and not standing[whole].is_over))


def _goes_on(known: _Standing, several: Sequence[Finding], *, rule: str) -> bool:
    """Whether what was found is of the episode that is known: less than its quiet after it."""
    period, quiet = PERIODS[rule]
    if not known.course.whens:
        return True
    first = several[0].anomaly.when
    if not quiet:
        return not known.is_over or first <= known.course.last
    return first - (known.course.last + period) < quiet


def _grow(known: _Standing, several: Sequence[Finding], *, now: datetime) -> bool:
    """Add what is new to an episode, which goes on to be about its worst hour or day; whether that was worth a
    reminder."""
    course = known.course.add(one.anomaly for one in several)
    if course == known.course:
        return False
    peak = explain_finding(_find_peak(several), course)
    facts, impact = write_finding(peak, course), course.impact
    is_worst = peak.anomaly.impact >= max(known.course.whens.values(), default=0)
    return grow_alert(
        tenant_id=peak.tenant_id,
        alert_id=known.alert_id,
        impact=_write_impact(impact),
        facts=facts if is_worst else keep_peak(facts, known.facts),
        title=write_title(peak) if is_worst else None,
        severity=rate_finding(peak, impact=impact),
        now=now,
    )


def _open(several: Sequence[list[Finding]], *, now: datetime) -> int:
    """Open an alert for each place, those that cost most, and one for all the others; how many are new."""
    ranked = sorted(several, key=lambda each: -sum(one.anomaly.impact for one in each))
    tenant_id = ranked[0][0].tenant_id
    opened = 0
    with tenant_scope(tenant_id):
        for each in ranked[:OPENED_MAX]:
            course = Course().add(one.anomaly for one in each)
            peak = explain_finding(_find_peak(each), course)
            opened += _open_one(
                peak,
                episode=min(course.whens).isoformat(),
                title=write_title(peak),
                facts=write_finding(peak, course),
                impact=course.impact,
                now=now,
            )
        if rest := ranked[OPENED_MAX:]:
            opened += _open_rest(rest, now=now)
    return opened


def _open_one(
    finding: Finding, *, episode: str, title: str, facts: Mapping[str, Any], impact: int, now: datetime
) -> bool:
    alert_id = open_alert(
        tenant_id=finding.tenant_id,
        rule=finding.rule,
        scope=finding.scope,
        episode=episode,
        severity=rate_finding(finding, impact=impact),
        title=title,
        facts=facts,
        impact=_write_impact(impact),
        channel_ids=NOBODY if finding.anomaly.level == "watch" else (),
        now=now,
    )
    return alert_id is not None


def _open_rest(rest: Sequence[list[Finding]], *, now: datetime) -> bool:
    """One alert a day for all that are not told one by one."""
    rule = rest[0][0].rule
    impact = sum(one.anomaly.impact for each in rest for one in each)
    words = rule.replace("_", " ")
    title = f"{len(rest):,} more of the kind {words} at once: {_name_some(rest)}"
    alert_id = open_alert(
        tenant_id=rest[0][0].tenant_id,
        rule=MORE,
        scope={},
        episode=f"{rule} {now:%Y-%m-%d}",
        severity=max((rate_finding(each[0], impact=0) for each in rest), key=("info", "warning", "high").index),
        title=title,
        facts={"sentence": f"{title}. They were found by one run with {OPENED_MAX} that cost more."},
        impact=_write_impact(impact),
        now=now,
    )
    return alert_id is not None


def _name_some(rest: Sequence[list[Finding]]) -> str:
    names = [" ".join(each[0].scope.values()) for each in rest[:3]]
    return ", ".join(names) + (" and others" if len(rest) > len(names) else "")


def _is_over(place: Place, known: _Standing, *, found: Mapping[Place, object], judged: Judged, now: datetime) -> bool:
    tenant_id, rule, _ = place
    if known.is_over or place in found:
        return False
    if rule == MORE:
        return now - known.changed_at >= MORE_QUIET
    until = judged.get(rule, {}).get(tenant_id)
    if until is None:
        return False
    period, quiet = PERIODS[rule]
    return not known.course.whens or until - (known.course.last + period) >= quiet


def _resolve(tenant_id: int, known: _Standing, *, now: datetime) -> bool:
    with transaction.atomic():
        return resolve_alert(tenant_id=tenant_id, alert_id=known.alert_id, now=now)


def _find_peak(several: Sequence[Finding]) -> Finding:
    """The one of the largest impact, of equal ones the last."""
    return max(several, key=lambda one: (one.anomaly.impact, one.anomaly.when))


def _write_impact(pico: int) -> Decimal | None:
    """None where it cannot be told."""
    return to_usd(pico) if pico else None
