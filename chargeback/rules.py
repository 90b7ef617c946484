"""Rules of chargeback: added, changed from a month on and ended, each a new version and an act of the ledger."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from django.db import connection, connections

from billing.cost_centers import list_cost_centers
from billing.selectors.direct_costs import list_cost_centers_used
from billing.selectors.months import CLOSED, list_months
from chargeback.core.allocation import AllocationRule, AllocationTerms, describe_circle, find_circle
from chargeback.core.charges import ChargeTerms
from chargeback.core.lines import RuleRef
from chargeback.core.rule_fields import RuleProblem, RuleRefused
from chargeback.core.rule_terms import (
    Terms,
    list_named_centers,
    load_allocation,
    load_charge,
    write_allocation,
    write_charge,
)
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope

Family = Literal["allocation", "charge"]
RULES_MAX = 500  # of a tenant and family, that have not ended


class RuleUnknown(LookupError):
    """The tenant has no rule of this number."""


@dataclass(frozen=True, slots=True)
class KeptRule:
    """One version of a rule, valid from a month on and until before another one, None: for good.

    created_by: as acts name an actor.
    """

    rule_id: int
    version: int
    valid_from: date
    valid_to: date | None
    terms: Terms
    created_by: str
    created_at: datetime

    def counts_in(self, month: date) -> bool:
        return self.valid_from <= month and (self.valid_to is None or month < self.valid_to)

    @property
    def is_ended(self) -> bool:
        return self.valid_from == self.valid_to

    @property
    def ref(self) -> RuleRef:
        return RuleRef(self.rule_id, self.version)


def create_rule(
    terms: Terms, *, valid_from: date, tenant_id: int, actor: str, now: datetime, valid_to: date | None = None
) -> tuple[KeptRule, bool]:
    """The rule, and whether it is new: the same terms again are the rule that there is. Raises RuleRefused."""
    family = name_family(terms)
    with lock_rules(tenant_id=tenant_id):
        versions = list_versions(family, tenant_id=tenant_id)
        for rule in find_newest(versions):
            if (rule.terms, rule.valid_from, rule.valid_to) == (terms, valid_from, valid_to):
                return rule, False
        _refuse(check_rule(terms, valid_from=valid_from, valid_to=valid_to, tenant_id=tenant_id, versions=versions))
        rule_id = _add_version(terms, None, 1, valid_from, valid_to, tenant_id=tenant_id, actor=actor, now=now)
        rule = get_rule(family, rule_id=rule_id, tenant_id=tenant_id)
        _record(f"{family}_rule.created", rule, tenant_id=tenant_id, actor=actor, now=now)
    return rule, True


def change_rule(
    terms: Terms,
    *,
    rule_id: int,
    valid_from: date,
    tenant_id: int,
    actor: str,
    now: datetime,
    valid_to: date | None = None,
) -> KeptRule:
    """Give a rule other terms from a month on; months before keep theirs. Raises RuleRefused, RuleUnknown.

    The same terms and months change nothing, and are no act.
    """
    family = name_family(terms)
    with lock_rules(tenant_id=tenant_id):
        before = get_rule(family, rule_id=rule_id, tenant_id=tenant_id)
        if (before.terms, before.valid_from, before.valid_to) == (terms, valid_from, valid_to):
            return before
        versions = list_versions(family, tenant_id=tenant_id)
        problems = check_rule(
            terms, valid_from=valid_from, valid_to=valid_to, tenant_id=tenant_id, versions=versions, before=before
        )
        _refuse(problems)
        version = before.version + 1
        _add_version(terms, rule_id, version, valid_from, valid_to, tenant_id=tenant_id, actor=actor, now=now)
        rule = get_rule(family, rule_id=rule_id, tenant_id=tenant_id)
        _record(f"{family}_rule.changed", rule, tenant_id=tenant_id, actor=actor, now=now, before=before)
    return rule


def end_rule(family: Family, *, rule_id: int, month: date, tenant_id: int, actor: str, now: datetime) -> KeptRule:
    """Let a rule count no more from a month on; what it did before stays. Raises RuleRefused, RuleUnknown."""
    with lock_rules(tenant_id=tenant_id):
        before = get_rule(family, rule_id=rule_id, tenant_id=tenant_id)
        if before.is_ended and before.valid_from == month:
            return before
        _refuse([*_check_closed(month, None, tenant_id=tenant_id, using="default")])
        version = before.version + 1
        _add_version(before.terms, rule_id, version, month, month, tenant_id=tenant_id, actor=actor, now=now)
        rule = get_rule(family, rule_id=rule_id, tenant_id=tenant_id)
        _record(f"{family}_rule.ended", rule, tenant_id=tenant_id, actor=actor, now=now, before=before)
    return rule


# Whoever checks a rule beside the others must be the only one who adds one.
LOCK_RULES_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('chargeback ' || %(tenant_id)s::bigint, 0))"


@contextmanager
def lock_rules(*, tenant_id: int) -> Iterator[None]:
    """Be the only one who changes the tenant's rules, for a block; for whoever reads one to change it."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_RULES_SQL, {"tenant_id": tenant_id})
        yield


# --- reading ---


def name_family(terms: Terms) -> Family:
    return "allocation" if isinstance(terms, AllocationTerms) else "charge"


def get_rule(family: Family, *, rule_id: int, tenant_id: int, using: str = "default") -> KeptRule:
    """The newest version of a rule. Raises RuleUnknown."""
    versions = [rule for rule in list_versions(family, tenant_id=tenant_id, using=using) if rule.rule_id == rule_id]
    if not versions:
        raise RuleUnknown(f"there is no {family} rule {rule_id}")
    return versions[-1]


LIST_ALLOCATION_RULES_SQL = """
    SELECT rule_id, version, valid_from, valid_to, terms, created_by, created_at
    FROM allocation_rule WHERE tenant_id = %(tenant_id)s
    ORDER BY rule_id, version"""
LIST_CHARGE_RULES_SQL = """
    SELECT rule_id, version, valid_from, valid_to, terms, created_by, created_at
    FROM charge_rule WHERE tenant_id = %(tenant_id)s
    ORDER BY rule_id, version"""


def list_versions(family: Family, *, tenant_id: int, using: str = "default") -> list[KeptRule]:
    """Every version of every rule of a family, by number and version."""
    statement = LIST_ALLOCATION_RULES_SQL if family == "allocation" else LIST_CHARGE_RULES_SQL
    load = load_allocation if family == "allocation" else load_charge
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(statement, {"tenant_id": tenant_id})
        rows = cursor.fetchall()
    return [
        KeptRule(rule_id, version, valid_from, valid_to, load(_read_json(terms)), created_by, created_at)
        for rule_id, version, valid_from, valid_to, terms, created_by, created_at in rows
    ]


def find_newest(versions: Iterable[KeptRule]) -> list[KeptRule]:
    """The newest version of each rule."""
    return list({rule.rule_id: rule for rule in versions}.values())


def find_in_force(versions: Iterable[KeptRule], month: date) -> list[KeptRule]:
    """Of each rule the version that counts in a month: the newest that is valid from it or before, unless it ended."""
    newest = find_newest(rule for rule in versions if rule.valid_from <= month)
    return [rule for rule in newest if rule.counts_in(month)]


def write_terms(terms: Terms) -> dict[str, object]:
    return write_allocation(terms) if isinstance(terms, AllocationTerms) else write_charge(terms)


# --- what is wrong with one ---


def check_rule(
    terms: Terms,
    *,
    valid_from: date,
    valid_to: date | None,
    tenant_id: int,
    versions: Sequence[KeptRule],
    before: KeptRule | None = None,
    using: str = "default",
) -> list[RuleProblem]:
    """What is wrong with terms among the tenant's rules. before: the newest version of the rule, None for a new one."""
    # Another version counts to the end of time in place of the one before it, whenever it ends itself.
    last = None if before else valid_to
    problems = [
        *_check_months(valid_from, valid_to),
        *_check_closed(valid_from, last, tenant_id=tenant_id, using=using),
    ]
    others = [rule for rule in find_newest(versions) if not before or rule.rule_id != before.rule_id]
    standing = [rule for rule in others if not rule.is_ended]
    if any(rule.terms.name == terms.name for rule in standing):
        problems.append(RuleProblem("name", "taken", "is that of another rule; choose another one, or change that"))
    if before is None and len(standing) >= RULES_MAX:
        problems.append(RuleProblem("", "too_many", f"a tenant has at most {RULES_MAX} of these; end one first"))
    if before and _get_kind(before.terms) != _get_kind(terms):
        cure = f"stays {_get_kind(before.terms)}: end this rule and add another one"
        problems.append(RuleProblem("kind", "wrong_value", cure))
    problems += _check_centers(terms, tenant_id=tenant_id, using=using)
    if isinstance(terms, AllocationTerms) and not problems:
        problems += _check_circles(terms, valid_from, valid_to, versions, before)
    return problems


def _get_kind(terms: Terms) -> str:
    return terms.kind if isinstance(terms, ChargeTerms) else ""


def _check_months(valid_from: date, valid_to: date | None) -> Iterator[RuleProblem]:
    if valid_to is not None and valid_to <= valid_from:
        yield RuleProblem("valid_to", "wrong_value", "is the month before which it ends: one after valid_from, or null")


def _check_closed(first: date, after: date | None, *, tenant_id: int, using: str) -> Iterator[RuleProblem]:
    closed = [
        month.period
        for month in list_months(tenant_id=tenant_id, using=using)
        if month.state == CLOSED and first <= month.period and (after is None or month.period < after)
    ]
    if closed:
        cure = f"would change {max(closed):%Y-%m}, which is closed; take a month after it"
        yield RuleProblem("valid_from", "month_closed", cure)


def _check_centers(terms: Terms, *, tenant_id: int, using: str) -> list[RuleProblem]:
    named = list_named_centers(terms)
    if not named:
        return []
    known = {center.code for center in list_cost_centers(tenant_id=tenant_id, using=using)}
    if not set(named) <= known:
        known.update(list_cost_centers_used(tenant_id=tenant_id, using=using))
    return [
        RuleProblem(field, "unknown_cost_center", f"names {name}, which is no cost centre; make it first, or mend it")
        for name, field in sorted(named.items())
        if name not in known
    ]


def _check_circles(
    terms: AllocationTerms,
    valid_from: date,
    valid_to: date | None,
    versions: Sequence[KeptRule],
    before: KeptRule | None,
) -> Iterator[RuleProblem]:
    """In each month from which on other rules count."""
    own = AllocationRule(RuleRef(before.rule_id if before else 0, 0), terms)
    starts = {day for rule in versions for day in (rule.valid_from, rule.valid_to) if day and day > valid_from}
    for month in sorted({valid_from, *starts}):
        if valid_to is not None and month >= valid_to:
            return
        others = [
            AllocationRule(rule.ref, rule.terms)
            for rule in find_in_force(versions, month)
            if isinstance(rule.terms, AllocationTerms) and (not before or rule.rule_id != before.rule_id)
        ]
        if circle := find_circle([*others, own]):
            cure = f"would send cost round in {month:%Y-%m}: {describe_circle(circle)}; change one of these rules"
            yield RuleProblem("targets", "circle", cure)
            return


def _refuse(problems: Sequence[RuleProblem]) -> None:
    if problems:
        raise RuleRefused(problems)


# --- writing ---

# Rules are numbered as they come, by the one who holds the lock; none is ever deleted.
ADD_ALLOCATION_RULE_SQL = """
    INSERT INTO allocation_rule (tenant_id, rule_id, version, valid_from, valid_to, terms, created_by, created_at)
    VALUES (%(tenant_id)s,
            coalesce(%(rule_id)s,
                     (SELECT coalesce(max(rule_id), 0) + 1 FROM allocation_rule WHERE tenant_id = %(tenant_id)s)),
            %(version)s, %(valid_from)s, %(valid_to)s, %(terms)s, %(actor)s, %(now)s)
    RETURNING rule_id"""
ADD_CHARGE_RULE_SQL = """
    INSERT INTO charge_rule (tenant_id, rule_id, version, kind, valid_from, valid_to, terms, created_by, created_at)
    VALUES (%(tenant_id)s,
            coalesce(%(rule_id)s,
                     (SELECT coalesce(max(rule_id), 0) + 1 FROM charge_rule WHERE tenant_id = %(tenant_id)s)),
            %(version)s, %(kind)s, %(valid_from)s, %(valid_to)s, %(terms)s, %(actor)s, %(now)s)
    RETURNING rule_id"""


def _add_version(
    terms: Terms,
    rule_id: int | None,
    version: int,
    valid_from: date,
    valid_to: date | None,
    *,
    tenant_id: int,
    actor: str,
    now: datetime,
) -> int:
    values = {
        "tenant_id": tenant_id,
        "rule_id": rule_id,
        "version": version,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "terms": json.dumps(write_terms(terms)),
        "actor": actor,
        "now": now,
    }
    statement = ADD_ALLOCATION_RULE_SQL
    if isinstance(terms, ChargeTerms):
        statement, values = ADD_CHARGE_RULE_SQL, {**values, "kind": terms.kind}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.fetchone()[0])


def _record(
    name: str, rule: KeptRule, *, tenant_id: int, actor: str, now: datetime, before: KeptRule | None = None
) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    facts = {
        "rule": str(rule.rule_id),
        "version": str(rule.version),
        "valid_from": rule.valid_from.isoformat(),
        "valid_to": rule.valid_to.isoformat() if rule.valid_to else "",
        "terms": json.dumps(write_terms(rule.terms)),
    }
    if before is not None:
        facts["terms_before"] = json.dumps(write_terms(before.terms))
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)


def _read_json(value: object) -> dict[str, object]:
    # Django's cursor leaves JSON as text, a prepared one reads it.
    return json.loads(value) if isinstance(value, str) else value  # type: ignore[return-value]
