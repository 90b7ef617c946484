"""The administrative log of a tenant: every act of its ledger, and the operator's that touched everybody's prices.

Of the operator's acts a tenant reads what was published, ended or renamed, and not what those who keep the rates said
to each other, nor what an act says of other tenants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from billing.selectors.rate_versions import list_agreed_rate_ids
from ledger.act_lists import ActFilters, KeptAct, list_act_names, list_acts
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant

ACTS_PER_PAGE_MAX = 500
# The operator's acts that decide what calls are charged, and what of their facts is everybody's to know.
PRICE_ACTS = (
    "alias.added", "alias.removed", "rate.published", "rate.rerating_cancelled", "rate.rerating_finished",
    "rate.rerating_paused", "rate.rerating_resumed", "rate.rerating_started", "rates.ended", "rates.published",
)  # fmt: skip
PUBLIC_FACTS = (
    "provider", "model", "means_provider", "means_model", "rate", "state", "content_hash", "effective_from",
    "effective_to", "rate_book", "origin", "documents", "begins", "ends", "contents_hash", "job",
)  # fmt: skip
MANY_RATES = "rates."
COPIED_WITHIN = timedelta(minutes=5)  # one transaction's acts, each by the clock


@dataclass(frozen=True, slots=True)
class LoggedAct:
    """One act. facts: printable. is_operators: of the operator's ledger, whose entries the tenant does not read."""

    entry_id: str
    recorded_at: datetime
    acted_at: datetime
    name: str
    actor: str
    facts: Mapping[str, str]
    is_operators: bool


@dataclass(frozen=True, slots=True)
class ActPage:
    """Acts, the latest booked first, and the cursor of what follows; None at the end."""

    acts: list[LoggedAct]
    next: UUID | None


def read_act_log(
    *, tenant_id: int, filters: ActFilters, before: UUID | None = None, limit: int = 100, using: str = "default"
) -> ActPage:
    """One page of what touched this tenant, in two queries of two ledgers; 1 <= limit <= ACTS_PER_PAGE_MAX."""
    operator = get_tenant(OPERATOR_SLUG)
    own = list_acts(tenant_id=tenant_id, filters=filters, before=before, limit=limit + 1, using=using)
    acts = [_write_act(act, is_operators=tenant_id == operator.id) for act in own]
    shared: list[KeptAct] = []
    if tenant_id != operator.id:
        shared = list_acts(
            tenant_id=operator.id,
            filters=filters,
            before=before,
            limit=limit + 1,
            among=PRICE_ACTS,
            but_rates=list_agreed_rate_ids(),
            using=using,
        )
        acts += [_share_act(act) for act in _drop_copied(shared, tenant_id=tenant_id, using=using)]
    return _cut_page(acts, limit=limit, last_shared=shared[limit].entry_id if len(shared) > limit else "")


def _cut_page(acts: Sequence[LoggedAct], *, limit: int, last_shared: str) -> ActPage:
    """The latest acts. last_shared: the last of the operator's that was read, where others may follow it, else ''.

    What is older than that one waits for the next page: the operator's acts beside it are not known yet.
    """
    found = sorted((act for act in acts if act.entry_id >= last_shared), key=lambda act: act.entry_id, reverse=True)
    page = found[:limit]
    end = page[-1].entry_id if len(found) > limit else last_shared
    return ActPage(page, UUID(end.removesuffix(".0")) if end else None)


def _drop_copied(shared: Sequence[KeptAct], *, tenant_id: int, using: str) -> list[KeptAct]:
    """Without those that the tenant's ledger has too: of many rates at once, with a price of its own among them."""
    many = [act for act in shared if act.name.startswith(MANY_RATES)]
    if not many:
        return list(shared)
    around = ActFilters(
        start=min(act.recorded_at for act in many) - COPIED_WITHIN,
        end=max(act.recorded_at for act in many) + COPIED_WITHIN,
    )
    copies = list_acts(tenant_id=tenant_id, filters=around, among=PRICE_ACTS, limit=ACTS_PER_PAGE_MAX, using=using)
    known = {_name_deed(act) for act in copies}
    return [act for act in shared if _name_deed(act) not in known]


def _name_deed(act: KeptAct) -> tuple[object, ...]:
    """What is the same in every ledger in which one deed was booked."""
    return act.name, act.actor, act.acted_at, act.facts.get("contents_hash"), act.facts.get("rate")


def list_logged_names(*, tenant_id: int, using: str = "default") -> list[str]:
    """Every name that the tenant's log may hold, for a filter."""
    return sorted({*list_act_names(tenant_id=tenant_id, using=using), *PRICE_ACTS})


def _share_act(act: KeptAct) -> LoggedAct:
    """An act of the operator as every tenant may know it."""
    logged = _write_act(act, is_operators=True)
    facts = {name: text for name, text in logged.facts.items() if name in PUBLIC_FACTS}
    return LoggedAct(act.entry_id, act.recorded_at, act.acted_at, act.name, logged.actor, facts, is_operators=True)


def _write_act(act: KeptAct, *, is_operators: bool) -> LoggedAct:
    facts = {write_printable(name): write_printable(text) for name, text in act.facts.items()}
    actor = write_printable(act.actor)
    return LoggedAct(act.entry_id, act.recorded_at, act.acted_at, act.name, actor, facts, is_operators)


def write_printable(text: str) -> str:
    """A text on one line: what would move a cursor, begin a line or turn the writing round is escaped, `\\u202e`.

    A log line's facts are what somebody named things. The entry holds them as they were given.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
