"""Rates on their way and what became of them, for those who write and approve them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max, Q

from billing.core.rate_documents import RateDocument
from billing.models import RateAct, RateVersion
from billing.rates import IMPORTED
from billing.selectors.rate_versions import EVERY_TENANT, PUBLISHED, UNDER_WAY, RateRecord, read_record
from billing.selectors.rates import ActInfo


@dataclass(frozen=True, slots=True)
class RateDraft:
    """A rate in any state with its way so far. replaces_id: what was in force at its start when it was submitted.

    acts: all of them, oldest first, or the last one alone where many rates are listed.
    """

    record: RateRecord
    created_at: datetime
    authors: tuple[str, ...]
    submitted_by: str
    submitted_at: datetime | None
    replaces_id: int | None
    acts: tuple[ActInfo, ...] = field(repr=False)
    last_act_id: int = 0

    @property
    def is_under_way(self) -> bool:
        return self.record.state in UNDER_WAY

    @property
    def document(self) -> RateDocument | None:
        """None where it is in force at no time any more."""
        if self.record.effective_from is None:
            return None
        return RateDocument(self.record.effective_from, self.record.effective_to, self.record.content)

    @property
    def mark(self) -> str:
        """Names what it says, for the steps of `billing.rates`; '' where there is no document."""
        return self.document.mark if self.document else ""

    def is_written_by(self, actor: str) -> bool:
        """Whether the actor wrote or submitted it, and so does not approve it where two people are asked for."""
        return actor in (*self.authors, self.record.created_by, self.submitted_by)


def get_rate_draft(rate_id: int) -> RateDraft | None:
    """The rate of this id, in any state, with all that was done to it."""
    row = RateVersion.objects.filter(pk=rate_id).first()
    return _describe(row, RateAct.objects.filter(rate_version_id=rate_id).order_by("id")) if row else None


def list_rates_under_way(*, state: str, before_id: int | None = None, limit: int) -> list[RateDraft]:
    """Rates in the state `draft` or `in_review`, the newest first."""
    rows = RateVersion.objects.filter(state=state).order_by("-id")
    rows = rows.filter(id__lt=before_id) if before_id else rows
    return _describe_all(rows[:limit])


def list_decided_rates(*, before_act: int | None = None, limit: int) -> list[RateDraft]:
    """Rates that were drafted here and published or withdrawn since, by their last act, the newest first."""
    last = RateAct.objects.values("rate_version_id").annotate(last=Max("id")).order_by("-last")
    decided = RateVersion.objects.exclude(state__in=UNDER_WAY).values("id")
    last = last.filter(rate_version_id__in=decided)
    last = last.filter(last__lt=before_act) if before_act else last
    ids = [row["rate_version_id"] for row in last[:limit]]
    drafts = {draft.record.id: draft for draft in _describe_all(RateVersion.objects.filter(id__in=ids))}
    return [drafts[rate_id] for rate_id in ids]


def find_rates_before(drafts: Collection[RateDraft]) -> dict[int, RateRecord]:
    """By each rate's id what prices its calls where it begins, or priced them before it; without it where nothing does.

    One query, however many rates there are.
    """
    wanted = Q(
        provider__in={draft.record.provider for draft in drafts},
        model__in={draft.record.model for draft in drafts},
        state__in=PUBLISHED,
    ) | Q(id__in={draft.replaces_id for draft in drafts if draft.replaces_id})
    records = [read_record(row) for row in RateVersion.objects.filter(wanted)] if drafts else []
    found = {draft.record.id: _find_before(draft, records) for draft in drafts}
    return {rate_id: record for rate_id, record in found.items() if record}


def _find_before(draft: RateDraft, records: Sequence[RateRecord]) -> RateRecord | None:
    own = draft.record
    if own.state in PUBLISHED:
        gave_way = [record for record in records if _gave_way(record, draft) or _ends_at(record, own)]
        if gave_way:
            return gave_way[0]
    in_force = [record for record in records if _prices_start(record, own)]
    return max(in_force, key=lambda record: (record.tenant_id, record.origin != IMPORTED), default=None)


def _gave_way(record: RateRecord, draft: RateDraft) -> bool:
    """Whether it is what was in force at the rate's start when that was submitted, and not what only begins later."""
    start = draft.record.effective_from
    begins_later = record.effective_from is not None and start is not None and record.effective_from > start
    return record.id == draft.replaces_id and not begins_later


def _ends_at(record: RateRecord, own: RateRecord) -> bool:
    return (
        own.effective_from is not None
        and record.effective_to == own.effective_from
        and record.tenant_id == own.tenant_id
        and _has_conditions(record, own)
    )


def _prices_start(record: RateRecord, own: RateRecord) -> bool:
    return (
        own.effective_from is not None
        and record.id != own.id
        and (own.published_at is None or record.published_at is None or record.published_at <= own.published_at)
        and record.is_in_force(own.effective_from)
        and record.tenant_id in (EVERY_TENANT, own.tenant_id)
        and _has_conditions(record, own)
    )


def _has_conditions(record: RateRecord, own: RateRecord) -> bool:
    """The same name under the same conditions; an import stands beside imports alone."""
    same = ("provider", "model", "match", "service_tier", "region", "time_window")
    return (own.origin != IMPORTED or record.origin == IMPORTED) and all(
        getattr(record, name) == getattr(own, name) for name in same
    )


def _describe_all(rows: Collection[RateVersion]) -> list[RateDraft]:
    ids = [row.pk for row in rows]
    newest = RateAct.objects.filter(rate_version_id__in=ids).values("rate_version_id").annotate(last=Max("id"))
    last: Mapping[int, RateAct] = {
        act.rate_version_id: act for act in RateAct.objects.filter(id__in=[row["last"] for row in newest])
    }
    return [_describe(row, [last[row.pk]] if row.pk in last else []) for row in rows]


def _describe(row: RateVersion, acts: Collection[RateAct]) -> RateDraft:
    told = list(acts)
    return RateDraft(
        record=read_record(row),
        created_at=row.created_at,
        authors=tuple(row.authors),
        submitted_by=row.submitted_by,
        submitted_at=row.submitted_at,
        replaces_id=row.replaces_id,
        acts=tuple(ActInfo(act.act, act.actor, act.comment, act.acted_at, act.entry_id) for act in told),
        last_act_id=told[-1].pk if told else 0,
    )
