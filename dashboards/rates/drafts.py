"""Rates under way: what a draft changes, how far it came, and what its reader may do with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from billing.core.rate_checks import ERROR, Finding, PriceDiff, diff_prices
from billing.core.rate_documents import RateDocument, RatesRefused
from billing.core.rate_words import (
    MAIN_METERS,
    TOKEN_METERS,
    WHOLE_METERS,
    describe_conditions,
    list_own_prices,
    list_prices,
    name_meter,
    write_price,
)
from billing.rates import examine_rate
from billing.selectors.rate_drafts import (
    RateDraft,
    find_rates_before,
    get_rate_draft,
    list_decided_rates,
    list_rates_under_way,
)
from billing.selectors.rate_versions import RateRecord, count_rates_under_way, read_rate_versions
from dashboards.access import Seat
from dashboards.core.changes import Change, compare_amounts
from dashboards.core.rate_forms import write_rate, write_rate_text
from dashboards.frame import make_link
from dashboards.rates.actors import name_actors

ROWS_MAX = 50
WORDS_MAX = 3
METER_ORDER = tuple(dict.fromkeys([*MAIN_METERS, *TOKEN_METERS]))
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


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One price beside the one in force. where: '' in the base list, else the tier in words."""

    meter: str
    where: str
    price: PriceDiff
    change: Change | None

    @property
    def words(self) -> str:
        """`input 1.00 → 0.20`."""
        before, after = (
            write_price(each) if each is not None else "none" for each in (self.price.before, self.price.after)
        )
        name = f"{name_meter(self.meter)} {self.where}".strip()
        return f"{name} {after}" if self.price.before is None else f"{name} {before} → {after}"


@dataclass(frozen=True, slots=True)
class RateDiff:
    """A price list beside the one in force; kinds of tokens that cost what contains them have no line of their own.

    conditions_new and conditions_gone: sentences of the one and not of the other.
    """

    lines: Sequence[DiffLine]
    conditions_new: Sequence[str]
    conditions_gone: Sequence[str]
    has_before: bool

    @property
    def changed(self) -> list[DiffLine]:
        return [line for line in self.lines if line.price.kind != "same"]

    @property
    def same(self) -> list[DiffLine]:
        return [line for line in self.lines if line.price.kind == "same"]

    @property
    def words(self) -> str:
        """The first changes in a few words."""
        changed = self.changed
        if not changed:
            return "other conditions, the same prices" if self.conditions_new or self.conditions_gone else "no price"
        rest = len(changed) - WORDS_MAX
        more = f" and {rest} more" if rest > 0 else ""
        return ", ".join(line.words for line in changed[:WORDS_MAX]) + more

    @property
    def main(self) -> DiffLine | None:
        """The price that a sentence tells: of output, else of input, else the first that changes."""
        base = {line.meter: line for line in self.changed if not line.where}
        return base.get("output") or base.get("input") or next(iter(self.changed), None)


def make_diff(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> RateDiff:
    """Lines of everything that either list prices by itself."""
    own = _list_own_places(before or {}) | _list_own_places(after)
    lines = [
        DiffLine(price.meter, _name_tier(price.tier), price, _compare(price))
        for price in diff_prices(before, after)
        if (price.meter, price.tier) in own or "month" in price.tier
    ]
    old, new = (describe_conditions(_leave_out_listed(content)) for content in (before or {}, after))
    return RateDiff(
        lines=_sort_lines(lines),
        conditions_new=[sentence for sentence in new if sentence not in old],
        conditions_gone=[sentence for sentence in old if sentence not in new] if before else [],
        has_before=before is not None,
    )


def _leave_out_listed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without list prices: the lines say them."""
    meters = {
        name: {key: value for key, value in meter.items() if key != "list_price"}
        for name, meter in content.get("meters", {}).items()
    }
    return {**content, "meters": meters}


def _sort_lines(lines: Sequence[DiffLine]) -> list[DiffLine]:
    """The base list first, then each tier; in each the tokens first."""
    tiers = list(dict.fromkeys(["", *(line.price.tier for line in lines)]))

    def place(line: DiffLine) -> tuple[int, int]:
        order = METER_ORDER.index(line.meter) if line.meter in METER_ORDER else len(METER_ORDER)
        return tiers.index(line.price.tier), order

    return sorted(lines, key=place)


def _list_own_places(content: Mapping[str, Any]) -> set[tuple[str, str]]:
    places = {(name, "") for name in list_own_prices(content)}
    for tier in content.get("context_tiers", ()):
        label = f"{tier['compare']} {tier['input_tokens']}"
        places |= {(name, label) for name in list_own_prices(tier)}
    return places


def _name_tier(tier: str) -> str:
    compare, _, count = tier.partition(" ")
    if compare == ">":
        return f"above {int(count):,} input tokens"
    if compare == ">=":
        return f"from {int(count):,} input tokens on"
    return tier


def _compare(price: PriceDiff) -> Change | None:
    if price.before is None or price.after is None or price.before == price.after:
        return None
    return compare_amounts(price.after, price.before)


# --- a form's consequence ---


IDS_APART = " | "  # of the findings that one box answers


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be confirmed by one box. ids: of the findings that it answers, apart by IDS_APART."""

    ids: str
    text: str
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class RateCheck:
    """What a document would do: beside what it is compared with, and what is found in it."""

    before: RateRecord | None
    diff: RateDiff
    errors: Sequence[Finding]
    questions: Sequence[Question]
    is_backdated: bool


def check_document(
    document: RateDocument,
    *,
    origin: str = "custom",
    rate_id: int | None = None,
    confirmed: frozenset[str] = frozenset(),
    now: datetime,
) -> RateCheck:
    """Examine it as submitting would. Raises RatesRefused for a tenant that is not known."""
    found = examine_rate(document, origin=origin, now=now, rate_id=rate_id)
    before = read_rate_versions([found.in_force_id]).get(found.in_force_id) if found.in_force_id else None
    return RateCheck(
        before=before,
        diff=make_diff(before.content if before else None, document.content),
        errors=[finding for finding in found.findings if finding.kind == ERROR],
        questions=_ask(found.findings, before.content if before else {}, document.content, confirmed),
        is_backdated=document.effective_from < now,
    )


def _ask(
    findings: Sequence[Finding], before: Mapping[str, Any], after: Mapping[str, Any], confirmed: frozenset[str]
) -> list[Question]:
    """A question about a kind of tokens that costs what contains it is asked together with that one's."""
    own = _list_own_places(before) | _list_own_places(after)
    asked: dict[str, list[Finding]] = {finding.id: [finding] for finding in findings if finding.kind != ERROR}
    for finding in findings:
        meter, _, tier = finding.meter.partition(" ")
        whole = f"{finding.code}:{WHOLE_METERS.get(meter, '')} {tier}".strip()
        if (meter, tier) not in own and finding.kind != ERROR and whole in asked:
            asked[whole] += asked.pop(finding.id)
    return [
        Question(
            ids=IDS_APART.join(each.id for each in together),
            text=_say_question(together),
            is_confirmed=all(each.id in confirmed for each in together),
        )
        for together in asked.values()
    ]


def _say_question(together: Sequence[Finding]) -> str:
    first, *others = together
    meter, _, tier = first.meter.partition(" ")
    text = first.text
    if first.meter and text.startswith(first.meter):
        text = f"the price of {name_meter(meter)} {_name_tier(tier)}".strip() + text.removeprefix(first.meter)
    if others:
        names = [name_meter(each.meter.partition(" ")[0]) for each in others]
        text += f", and with it {' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}"
    return f"{text[:1].upper()}{text[1:]}."


# --- one rate ---


@dataclass(frozen=True, slots=True)
class ShownAct:
    """What somebody did, in words."""

    who: str
    words: str
    comment: str
    at: datetime
    entry_id: str


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
            ShownAct(names[act.actor], ACT_WORDS.get(act.act, act.act), act.comment, act.acted_at, act.entry_id)
            for act in draft.acts
        ],
        may=may,
        why_not=why_not,
        tenant=_name_tenant(seat, record.tenant_id),
        text=write_rate_text(write_rate(document) if document else record.content),
        model_href=make_link("rate_model", seat.link_query, record.provider, record.model),
        before_href=make_link("rate_draft", seat.link_query, before.id) if before else "",
    )


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
