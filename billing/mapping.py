"""Mapping rules of a tenant: which calls that name no cost centre are charged to which, from which day on.

A rule is added, moved, ended and taken the place of, and never changed: what it gave its calls stays told by its id on
their entries. Each of these is an act of the tenant's ledger, and raises the rate book's version, so that no booking
goes by half of it (`billing.tenant_rules`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from django.db import connection, connections

from billing.core.mapping import MappingBook, MappingRule, Term
from billing.core.mapping_terms import RULES_MAX, MappingRefused, RuleTerms
from billing.core.wire_checks import ItemProblem
from billing.cost_centers import list_cost_centers, lock_mapping
from billing.models import MappingRule as MappingRuleRow
from billing.rates.book import raise_version
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.people import refer_to_people
from ledger.selectors import name_users
from tenants.scope import reading_scope


class RuleUnknown(LookupError):
    """The tenant has no mapping rule of this id."""


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A rule, at its place from 1. named: its conditions as people read them, users by the ids that engineers send."""

    rule: MappingRule
    named: tuple[Term, ...]
    place: int
    created_by: str
    created_at: datetime

    @property
    def id(self) -> int:
        return self.rule.id

    def holds_on(self, day: date) -> bool:
        """Whether it decides about calls of this day of UTC."""
        return (self.rule.valid_from or date.min) <= day < (self.rule.valid_to or date.max)


ADD_RULE_SQL = """
    INSERT INTO mapping_rule (tenant_id, position, terms, cost_center, valid_from, valid_to, created_by, created_at)
    VALUES (%(tenant_id)s, 0, %(terms)s::jsonb, %(cost_center)s, %(valid_from)s, %(valid_to)s, %(actor)s, %(now)s)
    RETURNING id"""


def add_rule(terms: RuleTerms, *, tenant_id: int, actor: str, now: datetime) -> KeptRule:
    """Have calls that are booked from now on go by a rule too, the last or at its place. Raises MappingRefused."""
    with lock_mapping(tenant_id=tenant_id):
        rules = list_rules(tenant_id=tenant_id)
        _refuse(_check(terms, rules=rules, tenant_id=tenant_id, now=now))
        raise_version()
        rule_id = _insert(terms, tenant_id=tenant_id, actor=actor, now=now)
        order = [rule.id for rule in rules]
        order.insert(len(order) if terms.place is None else terms.place - 1, rule_id)
        _keep_order(order, tenant_id=tenant_id)
        rule = get_rule(tenant_id=tenant_id, rule_id=rule_id)
        _record("mapping_rule.added", rule, tenant_id=tenant_id, actor=actor, now=now)
    return rule


def replace_rule(terms: RuleTerms, *, tenant_id: int, rule_id: int, actor: str, now: datetime) -> KeptRule:
    """End a rule on the day on which another one begins in its place; the new one. Raises RuleUnknown, MappingRefused.

    Calls of earlier days, also those that come late, go by the old one.
    """
    with lock_mapping(tenant_id=tenant_id):
        old, rules = get_rule(tenant_id=tenant_id, rule_id=rule_id), list_rules(tenant_id=tenant_id)
        problems = [*_check(terms, rules=rules, tenant_id=tenant_id, now=now), *_check_succession(old, terms)]
        _refuse(problem for problem in problems if problem.code != "too_many")
        raise_version()
        _set_end(old, terms.valid_from, tenant_id=tenant_id)
        new_id = _insert(terms, tenant_id=tenant_id, actor=actor, now=now)
        order = [rule.id for rule in rules]
        order.insert(old.place, new_id)
        _keep_order(order, tenant_id=tenant_id)
        rule = get_rule(tenant_id=tenant_id, rule_id=new_id)
        _record("mapping_rule.replaced", rule, tenant_id=tenant_id, actor=actor, now=now, replaces=str(rule_id))
    return rule


def end_rule(valid_to: date, *, tenant_id: int, rule_id: int, actor: str, now: datetime) -> KeptRule:
    """Let a rule decide about calls before a day alone; what it decided stays. Raises RuleUnknown, MappingRefused.

    On the day on which it began it ends as if it had never been. An end may be set to an earlier day and to no later.
    """
    with lock_mapping(tenant_id=tenant_id):
        old = get_rule(tenant_id=tenant_id, rule_id=rule_id)
        if old.rule.valid_to == valid_to:
            return old
        _refuse(_check_end(old, valid_to))
        raise_version()
        _set_end(old, valid_to, tenant_id=tenant_id)
        rule = get_rule(tenant_id=tenant_id, rule_id=rule_id)
        _record("mapping_rule.ended", rule, tenant_id=tenant_id, actor=actor, now=now)
    return rule


def move_rule(place: int, *, tenant_id: int, rule_id: int, actor: str, now: datetime) -> KeptRule:
    """Ask a rule before or after others, for calls that are booked from now on. Raises RuleUnknown, MappingRefused."""
    with lock_mapping(tenant_id=tenant_id):
        old, rules = get_rule(tenant_id=tenant_id, rule_id=rule_id), list_rules(tenant_id=tenant_id)
        if not 1 <= place <= len(rules):
            _refuse([ItemProblem("place", "wrong_value", f"is a whole number from 1 to {len(rules)}")])
        if place == old.place:
            return old
        raise_version()
        order = [rule.id for rule in rules if rule.id != rule_id]
        order.insert(place - 1, rule_id)
        _keep_order(order, tenant_id=tenant_id)
        rule = get_rule(tenant_id=tenant_id, rule_id=rule_id)
        _record("mapping_rule.moved", rule, tenant_id=tenant_id, actor=actor, now=now, place_before=str(old.place))
    return rule


def get_rule(*, tenant_id: int, rule_id: int) -> KeptRule:
    """One rule. Raises RuleUnknown."""
    for rule in list_rules(tenant_id=tenant_id):
        if rule.id == rule_id:
            return rule
    raise RuleUnknown(f"there is no mapping rule {rule_id}")


LIST_RULES_SQL = """
    SELECT id, terms::text, cost_center, valid_from, valid_to, created_by, created_at FROM mapping_rule
    WHERE tenant_id = %(tenant_id)s ORDER BY position, id"""


def list_rules(*, tenant_id: int, using: str = "default") -> list[KeptRule]:
    """The tenant's rules in the order in which they are asked, those that ended too."""
    with reading_scope(tenant_id, using=using):
        with connections[using].cursor() as cursor:
            cursor.execute(LIST_RULES_SQL, {"tenant_id": tenant_id})
            rows = cursor.fetchall()
        rules = [(_read_rule(row[:5]), row[5], row[6]) for row in rows]
        user_refs = _list_user_refs(rule.terms for rule, _, _ in rules)
        names = name_users(tenant_id=tenant_id, user_refs=user_refs, using=using) if user_refs else {}
    return [
        KeptRule(rule, _rename_users(rule.terms, names), place, created_by, created_at)
        for place, (rule, created_by, created_at) in enumerate(rules, start=1)
    ]


def read_mapping_book(*, tenant_id: int) -> MappingBook:
    """The rules as bookings go by them. Call it inside the tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_RULES_SQL, {"tenant_id": tenant_id})
        return MappingBook(_read_rule(row[:5]) for row in cursor.fetchall())


def _check(terms: RuleTerms, *, rules: Sequence[KeptRule], tenant_id: int, now: datetime) -> Iterator[ItemProblem]:
    if all(center.code != terms.cost_center for center in list_cost_centers(tenant_id=tenant_id)):
        yield ItemProblem("cost_center", "unknown_cost_center", "is no cost centre's code; make the cost centre first")
    if terms.valid_from and terms.valid_to and terms.valid_to <= terms.valid_from:
        yield ItemProblem(
            "valid_to", "wrong_value", "is after valid_from: the first day on which the rule no longer holds"
        )
    if sum(rule.rule.valid_to is None or rule.rule.valid_to > now.date() for rule in rules) >= RULES_MAX:
        yield ItemProblem("", "too_many", f"a tenant has at most {RULES_MAX} rules that go on; end one first")


def _check_succession(old: KeptRule, terms: RuleTerms) -> Iterator[ItemProblem]:
    if terms.valid_from is None:
        yield ItemProblem("valid_from", "missing_field", "is the day on which the old rule ends and this one begins")
    else:
        yield from (
            ItemProblem("valid_from", problem.code, problem.detail) for problem in _check_end(old, terms.valid_from)
        )
    if terms.place is not None:
        yield ItemProblem("place", "not_together", "is the old rule's; move the new one afterwards")


def _check_end(old: KeptRule, valid_to: date) -> Iterator[ItemProblem]:
    if old.rule.valid_from and valid_to < old.rule.valid_from:
        yield ItemProblem("valid_to", "wrong_value", f"is before the rule begins, on {old.rule.valid_from.isoformat()}")
    if old.rule.valid_to and valid_to > old.rule.valid_to:
        told = old.rule.valid_to.isoformat()
        yield ItemProblem(
            "valid_to", "wrong_value", f"is after the rule ends, on {told}; add another rule from then on"
        )


def _refuse(problems: Iterable[ItemProblem]) -> None:
    if found := list(problems):
        raise MappingRefused(found)


def _insert(terms: RuleTerms, *, tenant_id: int, actor: str, now: datetime) -> int:
    people = refer_to_people(tenant_id=tenant_id, external_ids=_list_user_refs([terms.terms]), now=now)
    values = {
        "tenant_id": tenant_id,
        "terms": write_terms(_rename_users(terms.terms, people)),
        "cost_center": terms.cost_center,
        "valid_from": terms.valid_from,
        "valid_to": terms.valid_to,
        "actor": actor,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(ADD_RULE_SQL, values)
        return cursor.fetchone()[0]


def _set_end(old: KeptRule, valid_to: date | None, *, tenant_id: int) -> None:
    MappingRuleRow.objects.filter(tenant_id=tenant_id, id=old.id).update(valid_to=valid_to)


KEEP_ORDER_SQL = """
    UPDATE mapping_rule SET position = place.position
    FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS place (id, position)
    WHERE mapping_rule.tenant_id = %(tenant_id)s AND mapping_rule.id = place.id"""


def _keep_order(ids: Sequence[int], *, tenant_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(KEEP_ORDER_SQL, {"tenant_id": tenant_id, "ids": list(ids)})


def _record(name: str, rule: KeptRule, *, tenant_id: int, actor: str, now: datetime, **facts: str) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction; users by references, which may be erased."""
    told = {
        "rule": str(rule.id),
        "place": str(rule.place),
        "cost_center": rule.rule.cost_center,
        "terms": write_terms(rule.rule.terms),
        "valid_from": rule.rule.valid_from.isoformat() if rule.rule.valid_from else "",
        "valid_to": rule.rule.valid_to.isoformat() if rule.rule.valid_to else "",
    }
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=told | facts), now=now)


def write_terms(terms: Sequence[Term]) -> str:
    """Conditions as JSON, as `mapping_rule` keeps them."""
    return msgspec.json.encode(terms).decode()


def _read_rule(row: Sequence[object]) -> MappingRule:
    rule_id, terms, cost_center, valid_from, valid_to = row
    return MappingRule(rule_id, tuple(msgspec.json.decode(terms, type=list[Term])), cost_center, valid_from, valid_to)


def _list_user_refs(rules: Iterable[Sequence[Term]]) -> list[str]:
    return sorted({value for terms in rules for term in terms if term.dimension == "user" for value in term.values})


def _rename_users(terms: Sequence[Term], names: Mapping[str, str]) -> tuple[Term, ...]:
    """The terms with each user called as `names` says."""
    return tuple(
        Term("user", tuple(names.get(value, value) for value in term.values)) if term.dimension == "user" else term
        for term in terms
    )
