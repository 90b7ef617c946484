"""Rates under way: what a draft changes, how far it came, and what its reader may do with it."""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from billing.core.changes import Change
from billing.core.rate_documents import RatesRefused
from billing.core.rate_words import (
    WHOLE_METERS,
    describe_conditions,
    list_own_prices,
    list_prices,
    name_meter,
)
from billing.selectors.rate_drafts import (
    RateDraft,
    find_rates_before,
    get_rate_draft,
    list_decided_rates,
    list_rates_under_way,
)
from billing.selectors.rate_versions import RateRecord, count_rates_under_way
from dashboards.access import Seat
from dashboards.core.rate_forms import write_rate, write_rate_text
from dashboards.frame import make_link
from dashboards.rates.actors import name_actors
from dashboards.rates.differences import RateCheck, RateDiff, check_document, make_diff, name_tier
from ledger.selectors import get_entries
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant

ROWS_MAX = 50
STATE_WORDS = {
    "draft": "Draft",
    "in_review": "In review",
    "published": "Published",
    "superseded": "Superseded",
    "withdrawn": "Withdrawn",
}
ACT_WORDS = {
    "drafted": "drafted it",
    "edited": "edited it",
    "submitted": "submitted it for approval",
    "commented": "said",
    "returned": "returned it to its author",
    "withdrawn": "withdrew it",
    "approved": "approved it",
    "published": "published it",
    "ending_asked": "asked for its end",
    "ending_withdrawn": "let it stay in force",
    "ended": "ended it",
    "rerating_started": "had what was booked re-rated",
    "rerating_paused": "paused the re-rating",
    "rerating_resumed": "let the re-rating go on",
    "rerating_cancelled": "ended the re-rating",
    "rerating_finished": "re-rated the last of it",
}
CONFIRMING = ("submitted", "published")
# The code of a finding → what was confirmed of it.
CONFIRMED_WORDS = {
    "replaces": "it takes the place of the version before it, whole",
    "overlap": "it ends where the next version begins",
    "gap": "the time before it is unpriced",
    "gap_after": "nothing prices what comes after it",
    "stands_before": "a later price of somebody else gives way to it",
    "missing_meter": "{} has no price",
    "far_away": "the price of {} is ten times away, or more",
    "above_list": "{} is agreed at more than its list price",
    "price_from": "it changes between prices and the provider's own figure",
}
# Ids stand apart by a space in the ledger, and may hold one: `far_away:input > 272000`.
_ID_BEGINS = re.compile(rf" (?=(?:{'|'.join(CONFIRMED_WORDS)})(?:[: ]|$))")


# --- one rate ---


@dataclass(frozen=True, slots=True)
class ShownAct:
    """What somebody did, in words. confirmed: the questions that were answered with it, where its entry was read."""

    who: str
    words: str
    comment: str
    at: datetime
    entry_id: str
    confirmed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way. state: done, now or later."""

    word: str
    state: str
    note: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class DraftPage:
    """check: of a rate under way. may: what its reader may do now; why_not: why approving is not among it."""

    draft: RateDraft
    names: Mapping[str, str]
    before: RateRecord | None
    diff: RateDiff
    check: RateCheck | None
    problem: str
    conditions: Sequence[str]
    steps: Sequence[Step]
    acts: Sequence[ShownAct]
    may: frozenset[str]
    why_not: str
    tenant: str
    text: str
    model_href: str
    before_href: str

    @property
    def state_word(self) -> str:
        return STATE_WORDS[self.draft.record.state]

    @property
    def record_name(self) -> str:
        return f"Version {self.draft.record.id}"

    @property
    def asks(self) -> bool:
        """Whether its reader may answer its questions now."""
        return bool(self.may & {"submit", "publish"})

    @property
    def author(self) -> str:
        return self.names[self.draft.record.created_by]

    @property
    def approver(self) -> str:
        return self.names[self.draft.record.approved_by]


def read_draft_page(
    rate_id: int, *, seat: Seat, confirmed: frozenset[str] = frozenset(), now: datetime
) -> DraftPage | None:
    """Everything about one rate, in any state; None where there is none. A fixed number of queries."""
    draft = get_rate_draft(rate_id)
    if draft is None:
        return None
    record, document = draft.record, draft.document
    check, problem = None, ""
    if draft.is_under_way and document:
        try:
            check = check_document(document, origin=record.origin, rate_id=rate_id, confirmed=confirmed, now=now)
        except RatesRefused as refused:
            problem = f"{refused}"
    before = check.before if check else find_rates_before([draft]).get(rate_id)
    names = name_actors([*(act.actor for act in draft.acts), record.created_by, draft.submitted_by, record.approved_by])
    told = _read_confirmed(draft)
    may, why_not = _list_acts(draft, seat)
    return DraftPage(
        draft=draft,
        names=names,
        before=before,
        diff=check.diff if check else make_diff(before.content if before else None, record.content),
        check=check,
        problem=problem,
        conditions=describe_conditions(record.content),
        steps=_list_steps(draft, names),
        acts=[
            ShownAct(
                names[act.actor],
                ACT_WORDS.get(act.act, act.act),
                act.comment,
                act.acted_at,
                act.entry_id,
                _say_confirmed(told.get(act.entry_id, ()), list_own_prices(record.content)),
            )
            for act in draft.acts
        ],  # fmt: skip
        may=may,
        why_not=why_not,
        tenant=_name_tenant(seat, record.tenant_id),
        text=write_rate_text(write_rate(document) if document else record.content),
        model_href=make_link("rate_model", seat.link_query, record.provider, record.model),
        before_href=make_link("rate_draft", seat.link_query, before.id) if before else "",
    )


def _read_confirmed(draft: RateDraft) -> dict[str, Sequence[str]]:
    """The ids that each step confirmed, by its entry in the operator's ledger."""
    entry_ids = [act.entry_id for act in draft.acts if act.act in CONFIRMING]
    if not entry_ids:
        return {}
    entries = get_entries(tenant_id=get_tenant(OPERATOR_SLUG).id, entry_ids=entry_ids)
    said = {entry_id: entry["tags"].get("confirmed", "") for entry_id, entry in entries.items()}
    return {entry_id: _ID_BEGINS.split(text) for entry_id, text in said.items() if text}


def _say_confirmed(ids: Sequence[str], own: Container[str]) -> list[str]:
    """A kind of tokens that costs what contains it was asked for together with that. own: meters that do not."""
    said = []
    for each in ids:
        code, _, about = each.partition(":")
        meter, _, tier = about.partition(" ")
        if meter not in own and f"{code}:{WHOLE_METERS.get(meter, '')} {tier}".strip() in ids:
            continue
        words = f"{name_meter(meter)} {name_tier(tier)}".strip() if meter else ""
        said.append(CONFIRMED_WORDS.get(code, each).format(words))
    return said


def _list_acts(draft: RateDraft, seat: Seat) -> tuple[frozenset[str], str]:
    state = draft.record.state
    if state == "draft":
        acts = {"edit", "submit", "comment", "withdraw"} | (set() if settings.RATES_FOUR_EYES else {"publish"})
        return frozenset(acts), ""
    if state != "in_review":
        return frozenset({"comment"}), ""
    acts = {"return", "comment", "withdraw"}
    if settings.RATES_FOUR_EYES and draft.is_written_by(seat.actor):
        verb = "submitted" if seat.actor not in (*draft.authors, draft.record.created_by) else "wrote"
        return frozenset(acts), f"You {verb} it, so a second person approves it."
    return frozenset(acts | {"approve"}), ""


def _list_steps(draft: RateDraft, names: Mapping[str, str]) -> list[Step]:
    """Draft, in review, published; or withdrawn where it ended so."""
    record, state = draft.record, draft.record.state
    written = Step("Draft", "done", names[record.created_by], draft.created_at)
    submitted = Step("In review", "done", names[draft.submitted_by], draft.submitted_at)
    if state == "draft":
        return [Step("Draft", "now", names[record.created_by], draft.created_at), Step("In review", "later", "", None),
                Step("Published", "later", "", None)]  # fmt: skip
    if state == "in_review":
        return [written, Step("In review", "now", submitted.note, submitted.at), Step("Published", "later", "", None)]
    middle = [submitted] if draft.submitted_at else []
    if state == "withdrawn":
        last = next((act for act in reversed(draft.acts) if act.act == "withdrawn"), None)
        return [written, *middle, Step("Withdrawn", "now", names[last.actor] if last else "",
                                       last.acted_at if last else None)]  # fmt: skip
    published = Step("Published", "done" if state == "superseded" else "now", names[record.approved_by],
                     record.published_at)  # fmt: skip
    return [written, *middle, published, *([Step("Superseded", "now", "", None)] if state == "superseded" else [])]


def _name_tenant(seat: Seat, tenant_id: int) -> str:
    """'' for every tenant."""
    if not tenant_id:
        return ""
    return next((tenant.slug for tenant in seat.tenants if tenant.id == tenant_id), f"tenant {tenant_id}")


# --- all of them ---


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A rate in a list. last: what was done to it last."""

    draft: RateDraft
    href: str
    words: str
    change: Change | None
    tenant: str
    author: str
    last: ShownAct | None


@dataclass(frozen=True, slots=True)
class DraftList:
    """in_review, drafts: the newest first; decided: by the last act. older_*: the address of those before, or ''."""

    in_review: Sequence[DraftRow]
    drafts: Sequence[DraftRow]
    decided: Sequence[DraftRow]
    in_review_count: int
    draft_count: int
    older_drafts: str
    older_decided: str


def read_draft_list(*, seat: Seat, before_draft: int | None, before_act: int | None) -> DraftList:
    """The rates under way and those decided; a fixed number of queries."""
    in_review = list_rates_under_way(state="in_review", limit=ROWS_MAX)
    drafts = list_rates_under_way(state="draft", before_id=before_draft, limit=ROWS_MAX + 1)
    decided = list_decided_rates(before_act=before_act, limit=ROWS_MAX + 1)
    shown = [*in_review, *drafts[:ROWS_MAX], *decided[:ROWS_MAX]]
    before = find_rates_before(shown)
    actors = {act.actor for draft in shown for act in draft.acts} | {draft.record.created_by for draft in shown}
    names = name_actors(actors)
    rows = [_make_row(draft, before.get(draft.record.id), names, seat) for draft in shown]
    first, second = len(in_review), len(in_review) + len(drafts[:ROWS_MAX])
    counts = count_rates_under_way(tenant_ids=None)
    return DraftList(
        in_review=rows[:first],
        drafts=rows[first:second],
        decided=rows[second:],
        in_review_count=counts["in_review"],
        draft_count=counts["draft"],
        older_drafts=make_link("rate_drafts", seat.link_query | {"before": drafts[ROWS_MAX - 1].record.id})
        if len(drafts) > ROWS_MAX
        else "",
        older_decided=make_link("rate_drafts", seat.link_query | {"before_act": decided[ROWS_MAX - 1].last_act_id})
        if len(decided) > ROWS_MAX
        else "",
    )


def _make_row(draft: RateDraft, before: RateRecord | None, names: Mapping[str, str], seat: Seat) -> DraftRow:
    diff = make_diff(before.content if before else None, draft.record.content)
    last = draft.acts[-1] if draft.acts else None
    return DraftRow(
        draft=draft,
        href=make_link("rate_draft", seat.link_query, draft.record.id),
        words=_say_what(draft, diff),
        change=diff.main.change if diff.main else None,
        tenant=_name_tenant(seat, draft.record.tenant_id),
        author=names[draft.record.created_by],
        last=ShownAct(names[last.actor], ACT_WORDS.get(last.act, last.act), last.comment, last.acted_at, last.entry_id)
        if last
        else None,
    )


def _say_what(draft: RateDraft, diff: RateDiff) -> str:
    if draft.record.content.get("price_from") == "reported_cost":
        return "the provider's own figure"
    if not list_prices(draft.record.content):
        return "no price"
    if not diff.has_before:
        return f"{diff.words}, where there was no price"
    return diff.words if diff.changed else "no price changes"
