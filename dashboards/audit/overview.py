"""What the page Audit shows: the newest checkpoint and what was found of it, what waits, who changed what lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from audit.acts import LoggedAct, read_act_log
from audit.chain import (
    ChainCheck,
    Refusal,
    SealedHead,
    SealQueue,
    get_last_chain_check,
    list_refusals,
    measure_queue,
    read_sealed_head,
)
from dashboards.access import Seat
from dashboards.audit.acts import ShownAct, show_acts
from dashboards.audit.statement import list_months
from ledger.act_lists import ActFilters

ACTS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class AuditPage:
    """head: None before the first checkpoint. refusals: the sealer's. last_check: None where nobody looked."""

    head: SealedHead | None
    queue: SealQueue
    refusals: Sequence[Refusal]
    last_check: ChainCheck | None
    months: Sequence[date]
    acts: Sequence[ShownAct]

    @property
    def newest_over(self) -> date:
        """The newest month that is over, else the running one: whose statement is asked for most."""
        return self.months[1] if len(self.months) > 1 else self.months[0]


def read_audit_page(seat: Seat, *, now: datetime) -> AuditPage:
    """All of it; the checkpoint's signature, root and place in the log are checked on the way."""
    tenant_id = seat.tenant.id
    acts: Sequence[LoggedAct] = read_act_log(tenant_id=tenant_id, filters=ActFilters(), limit=ACTS_SHOWN).acts
    return AuditPage(
        head=read_sealed_head(tenant_id=tenant_id),
        queue=measure_queue(tenant_id=tenant_id),
        refusals=list_refusals(tenant_id=tenant_id),
        last_check=get_last_chain_check(tenant_id=tenant_id),
        months=list_months(seat, now=now),
        acts=show_acts(seat, acts),
    )
