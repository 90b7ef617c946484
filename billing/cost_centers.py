"""Cost centres of a tenant: made, changed and retired by a person or a key, each time as an act of its ledger.

A code is what entries hold, so it is never changed. Codes that calls name and nobody registered are booked as they are:
a cost centre says whose a code is, and not whether it may be sent.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from billing.core.mapping_terms import CostCenterTerms, MappingRefused, find_way_round, write_cost_center
from billing.core.wire_checks import ItemProblem
from billing.models import CostCenter as CostCenterRow
from billing.models import MappingRule as MappingRuleRow
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope

CENTERS_MAX = 2_000  # of a tenant, that are not retired


class CostCenterUnknown(LookupError):
    """The tenant has no cost centre of this id, or it is retired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCenter(CostCenterTerms):
    """A cost centre as it is kept."""

    tenant_id: int
    id: int
    created_by: str
    created_at: datetime
    changed_at: datetime
    retired_at: datetime | None


# Who checks a parent, a code or the order of rules must be the only one who changes them.
LOCK_MAPPING_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('mapping ' || %(tenant_id)s::bigint, 0))"


@contextmanager
def lock_mapping(*, tenant_id: int) -> Iterator[None]:
    """Be the only one who changes the tenant's cost centres and mapping rules, for a block."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_MAPPING_SQL, {"tenant_id": tenant_id})
        yield


ADD_COST_CENTER_SQL = """
    INSERT INTO cost_center (tenant_id, code, name, owner, gl_account, parent_id, created_by, created_at, changed_at)
    VALUES (%(tenant_id)s, %(code)s, %(name)s, %(owner)s, %(gl_account)s, %(parent)s, %(actor)s, %(now)s, %(now)s)
    RETURNING id"""


def create_cost_center(terms: CostCenterTerms, *, tenant_id: int, actor: str, now: datetime) -> tuple[CostCenter, bool]:
    """The cost centre, and whether it is new: the same terms again are the one that there is. Raises MappingRefused."""
    with lock_mapping(tenant_id=tenant_id):
        centers = list_cost_centers(tenant_id=tenant_id)
        for center in centers:
            if write_cost_center(center) == write_cost_center(terms):
                return center, False
        if problems := list(_check(terms, centers=centers, center_id=None)):
            raise MappingRefused(problems)
        values = {"tenant_id": tenant_id, "actor": actor, "now": now, **write_cost_center(terms)}
        with connection.cursor() as cursor:
            cursor.execute(ADD_COST_CENTER_SQL, values)
            (center_id,) = cursor.fetchone()
        center = get_cost_center(tenant_id=tenant_id, center_id=center_id)
        _record("cost_center.created", center, actor=actor, now=now)
    return center, True


def change_cost_center(
    terms: CostCenterTerms, *, tenant_id: int, center_id: int, actor: str, now: datetime
) -> CostCenter:
    """Give a cost centre another name, owner, account or parent. Raises MappingRefused, CostCenterUnknown.

    The same terms change nothing, and are no act.
    """
    with lock_mapping(tenant_id=tenant_id):
        before = get_cost_center(tenant_id=tenant_id, center_id=center_id)
        if write_cost_center(before) == write_cost_center(terms):
            return before
        centers = list_cost_centers(tenant_id=tenant_id)
        if problems := list(_check(terms, centers=centers, center_id=center_id)):
            raise MappingRefused(problems)
        CostCenterRow.objects.filter(tenant_id=tenant_id, id=center_id).update(
            name=terms.name, owner=terms.owner, gl_account=terms.gl_account, parent_id=terms.parent_id, changed_at=now
        )
        center = get_cost_center(tenant_id=tenant_id, center_id=center_id)
        _record("cost_center.changed", center, actor=actor, now=now, before=before)
    return center


def retire_cost_center(*, tenant_id: int, center_id: int, actor: str, now: datetime) -> CostCenter:
    """Let nothing new be charged by rules to a cost centre; what was charged to it stays. Raises CostCenterUnknown,
    and MappingRefused while another stands below it or a rule that has not ended names it.
    """
    with lock_mapping(tenant_id=tenant_id):
        center = get_cost_center(tenant_id=tenant_id, center_id=center_id)
        if problems := list(_check_retirement(center, now=now)):
            raise MappingRefused(problems)
        CostCenterRow.objects.filter(tenant_id=tenant_id, id=center_id).update(retired_at=now, changed_at=now)
        _record("cost_center.retired", center, actor=actor, now=now)
        return get_cost_center(tenant_id=tenant_id, center_id=center_id, with_retired=True)


def get_cost_center(
    *, tenant_id: int, center_id: int, with_retired: bool = False, using: str = "default"
) -> CostCenter:
    """One cost centre. Raises CostCenterUnknown."""
    with reading_scope(tenant_id, using=using):
        row = CostCenterRow.objects.using(using).filter(tenant_id=tenant_id, id=center_id).first()
    if row is None or (row.retired_at and not with_retired):
        raise CostCenterUnknown(f"there is no cost centre {center_id}")
    return _read_row(row)


def list_cost_centers(*, tenant_id: int, with_retired: bool = False, using: str = "default") -> list[CostCenter]:
    """The tenant's cost centres, by code."""
    with reading_scope(tenant_id, using=using):
        rows = CostCenterRow.objects.using(using).filter(tenant_id=tenant_id).order_by("code", "id")
        return [_read_row(row) for row in rows if with_retired or row.retired_at is None]


def _check(terms: CostCenterTerms, *, centers: Sequence[CostCenter], center_id: int | None) -> Iterator[ItemProblem]:
    """What is wrong with terms among the tenant's cost centres. center_id: whose terms they are, None for a new one."""
    by_id = {center.id: center for center in centers}
    if center_id is None:
        if any(center.code == terms.code for center in centers):
            yield ItemProblem(
                "code", "taken", "is that of another cost centre; change that one, or choose another code"
            )
        if len(centers) >= CENTERS_MAX:
            yield ItemProblem("", "too_many", f"a tenant has at most {CENTERS_MAX:,} cost centres; retire one first")
    elif by_id[center_id].code != terms.code:
        yield ItemProblem("code", "fixed", "is what entries hold, and stays; make another cost centre for another code")
    if terms.parent_id is None:
        return
    if terms.parent_id not in by_id:
        yield ItemProblem("parent", "unknown_parent", "is no cost centre of the tenant, or was retired")
    elif center_id is not None:
        parents = {center.id: center.parent_id for center in centers}
        if way := find_way_round(parents, child=center_id, parent=terms.parent_id):
            told = " → ".join(by_id[one].code for one in way)
            yield ItemProblem("parent", "circular", f"closes a circle, each below the next: {told}")


def _check_retirement(center: CostCenter, *, now: datetime) -> Iterator[ItemProblem]:
    children = [one.code for one in list_cost_centers(tenant_id=center.tenant_id) if one.parent_id == center.id]
    if children:
        yield ItemProblem("parent", "has_children", f"is of {', '.join(children)}: give those another parent first")
    rules = MappingRuleRow.objects.filter(tenant_id=center.tenant_id, cost_center=center.code)
    unended = rules.exclude(valid_to__lte=now.date()).order_by("position", "id").values_list("id", flat=True)
    if named := [str(rule_id) for rule_id in unended]:
        yield ItemProblem(
            "code", "named_by_rules", f"is named by mapping rules that go on: {', '.join(named)}; end them"
        )


def _record(name: str, center: CostCenter, *, actor: str, now: datetime, before: CostCenter | None = None) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    facts = {"cost_center": str(center.id), "terms": json.dumps(write_cost_center(center))}
    if before is not None:
        facts["terms_before"] = json.dumps(write_cost_center(before))
    book_act(tenant_id=center.tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)


def _read_row(row: CostCenterRow) -> CostCenter:
    return CostCenter(
        code=row.code,
        name=row.name,
        owner=row.owner,
        gl_account=row.gl_account,
        parent_id=row.parent_id,
        tenant_id=row.tenant_id,
        id=row.id,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
        retired_at=row.retired_at,
    )
