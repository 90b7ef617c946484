"""The form of a new rate version: with which prices it begins, and its lines as they are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import Any

from billing.core.model_names import canonical_names
from billing.core.nearest_models import Suggestion, suggest_model
from billing.core.price_histories import STANDARD, Call, find_rate
from billing.core.rate_documents import METER_BY_USAGE
from billing.core.rate_words import MAIN_METERS, TOKEN_METERS, WHOLE_METERS, name_meter
from billing.rates import load_rate_book
from billing.selectors.rate_drafts import RateDraft
from billing.selectors.rate_versions import (
    EVERY_TENANT,
    RateRecord,
    find_alias,
    list_model_aliases,
    list_priced_names,
    read_rate_versions,
)
from dashboards.access import Seat
from dashboards.core.rate_forms import (
    PriceRow,
    ReadRate,
    StepRow,
    TierRows,
    write_rate,
)

SEEN_DAYS = 89  # before today: as far back as the page of the rates looks for calls
METERS = tuple(dict.fromkeys([*TOKEN_METERS, *METER_BY_USAGE.values()]))
SPARE_ROWS, MORE_ROWS = 1, 4
MATCHES = (
    ("exact", "is exactly this"),
    ("prefix", "begins with this"),
    ("pattern", "fits this pattern"),
)
COMPARISONS = ((">", "above"), (">=", "from … on"))
CONTEXT_SCOPES = (("request", "the whole request"), ("marginal", "what is above it"))
QUANTITY_SCOPES = (
    ("graduated", "each part its own price"),
    ("volume", "all of it at the last price"),
    ("package", "whole packages"),
)


@dataclass(frozen=True, slots=True)
class FormStart:
    """What a form begins with. record: whose prices they are; suggestion: where that is another model's."""

    rate: Mapping[str, Any]
    record: RateRecord | None
    suggestion: Suggestion | None = None


def start_form(*, seat: Seat, provider: str, model: str, service_tier: str, region: str, now: datetime) -> FormStart:
    """The list that prices such a call of the page's tenant now, to begin tomorrow; else the nearest that there is,

    for every exact name, to begin where the oldest calls without a price may stand.
    """
    book, tenant_id = load_rate_book(), seat.tenant.id
    call = Call(provider, model, service_tier or STANDARD, region, tenant_id)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if record := _read(find_rate(book, call, now)):
        return FormStart(_begin_anew(record.content, tomorrow, _find_end(record, tomorrow)), record)
    first = (now - timedelta(days=SEEN_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    meant, (name, *_) = canonical_names(*find_alias(list_model_aliases(), provider, model))
    own = {"provider": meant, "model": name, "match": "exact", "service_tier": call.service_tier, "region": region}
    suggestion = None
    record = _read(find_rate(book, Call(provider, model, tenant_id=tenant_id), now))
    if record is None:
        suggestion = suggest_model(meant, name, list_priced_names(at=now, tenant_ids=(EVERY_TENANT, tenant_id)))
        if suggestion:
            record = _read(find_rate(book, Call(suggestion.provider, suggestion.model, tenant_id=tenant_id), now))
    content = record.content if record else {"currency": "USD", "meters": {}}
    return FormStart(_begin_anew(_leave_out(content) | own, first), record, suggestion)


def _read(rate_id: int | None) -> RateRecord | None:
    return read_rate_versions([rate_id]).get(rate_id) if rate_id else None


def _leave_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """What another model's prices do not say of this one."""
    of_its_own = ("tenant", "priority", "time_window", "daily_fee")
    return {name: value for name, value in content.items() if name not in of_its_own}


def _begin_anew(content: Mapping[str, Any], start: datetime, end: datetime | None = None) -> dict[str, Any]:
    """Another version of it: where its prices were read is to be said anew."""
    until = end.isoformat() if end else None
    return {**content, "source": {}, "effective_from": start.isoformat(), "effective_to": until}


def _find_end(record: RateRecord, start: datetime) -> datetime | None:
    """Where a version that begins at `start` in its place ends: a contract of a year does not become one for ever."""
    return record.effective_to if record.effective_to and record.effective_to > start else None


def start_from_draft(draft: RateDraft, *, now: datetime) -> FormStart:
    """The form of another rate that says what this one does."""
    rate = write_rate(draft.document) if draft.document else _begin_anew(draft.record.content, now)
    return FormStart(rate, draft.record)


# --- lines as they are shown ---


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A line with its number and what is wrong with each of its fields."""

    number: int
    row: PriceRow | StepRow
    wrong: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShownTier:
    """A context tier; is_spare: the empty one at the end."""

    number: int
    tier: TierRows
    rows: Sequence[ShownRow]
    wrong: Mapping[str, str]
    is_spare: bool

    @property
    def at(self) -> str:
        """What stands before the names of its fields."""
        return f"tier-{self.number}-"

    @property
    def words(self) -> str:
        """Of a price in it, for who hears the label."""
        return f", long prompts {self.number}"


@dataclass(frozen=True, slots=True)
class ShownForm:
    """The form as its template sets it. wrong: what is wrong by the field's id; hints: every id that may have one."""

    read: ReadRate
    rows: Sequence[ShownRow]
    tiers: Sequence[ShownTier]
    steps: Sequence[ShownRow]
    followers: Sequence[tuple[str, str, bool]]
    wrong: Mapping[str, str]

    @property
    def hints(self) -> list[tuple[str, str]]:
        ids = [*self.read.fields.texts]
        ids += [f"{name}-{each.number}" for each in self.rows for name in each.wrong]
        ids += [f"step_{name}-{each.number}" for each in self.steps for name in each.wrong]
        for tier in self.tiers:
            ids += [f"tier-{tier.number}-{name}" for name in tier.wrong]
            ids += [f"tier-{tier.number}-{name}-{each.number}" for each in tier.rows for name in each.wrong]
        return [(each, self.wrong.get(each, "")) for each in ids]

    @property
    def has_steps(self) -> bool:
        return any(not step.is_empty for step in self.read.fields.steps)

    @property
    def unplaced(self) -> list[str]:
        """Problems of no field."""
        return [problem.text for problem in self.read.problems if problem.id == "fields"]


def show_form(read: ReadRate, *, spare: int = SPARE_ROWS, as_sent: bool = False) -> ShownForm:
    """The lines with empty ones to go on with; as_sent: just those that a browser sent, for the hints beside them."""
    fields = read.fields
    wrong = {problem.id: problem.text for problem in reversed(read.problems)}
    rows = fields.rows if as_sent else _add_spare(fields.rows, PriceRow(), spare)
    steps = fields.steps if as_sent else _add_spare(fields.steps, StepRow(), spare)
    tiers = list(fields.tiers)
    if not as_sent and not rows[spare:]:
        rows = [*(PriceRow(name) for name in MAIN_METERS), *rows]
    if not as_sent:
        tiers = [*_cut(fields.tiers), _make_spare_tier(fields.rows, fields.tiers)]
    return ShownForm(
        read=read,
        rows=[_show_row(number, row, wrong) for number, row in enumerate(rows, 1)],
        tiers=[
            _show_tier(number, tier, wrong, is_spare=number == len(tiers), as_sent=as_sent)
            for number, tier in enumerate(tiers, 1)
        ],
        steps=[_show_step(number, step, wrong) for number, step in enumerate(steps, 1)],
        followers=[
            (name, f"{name_meter(name)[0].upper()}{name_meter(name)[1:]}, as {name_meter(WHOLE_METERS[name])}",
             name in fields.followed)
            for name in fields.followers
            if name in WHOLE_METERS
        ],
        wrong=wrong,
    )  # fmt: skip


def _cut(lines: Sequence[Any]) -> list[Any]:
    """Without the empty ones at the end."""
    return list(dropwhile(lambda line: line.is_empty, reversed(lines)))[::-1]


def _add_spare(lines: Sequence[Any], empty: Any, spare: int) -> list[Any]:
    return [*(_cut(lines)), *[empty] * spare]


def _make_spare_tier(rows: Sequence[PriceRow], tiers: Sequence[TierRows]) -> TierRows:
    """With the meters that a prompt's length changes, to be filled in."""
    last = _cut(tiers)[-1:] or [TierRows()]
    names = [row.meter for row in rows if row.meter in MAIN_METERS]
    return TierRows(compare=last[0].compare, scope=last[0].scope, rows=[PriceRow(name) for name in names])


def _show_row(number: int, row: PriceRow, wrong: Mapping[str, str], at: str = "") -> ShownRow:
    names = ("meter", "price", "list_price", "per")
    return ShownRow(number, row, {name: wrong.get(f"{at}{name}-{number}", "") for name in names})


def _show_step(number: int, step: StepRow, wrong: Mapping[str, str]) -> ShownRow:
    names = ("meter", "above", "scope", "price", "size", "flat")
    return ShownRow(number, step, {name: wrong.get(f"step_{name}-{number}", "") for name in names})


def _show_tier(number: int, tier: TierRows, wrong: Mapping[str, str], *, is_spare: bool, as_sent: bool) -> ShownTier:
    at = f"tier-{number}-"
    rows = tier.rows if as_sent else _add_spare(tier.rows, PriceRow(), SPARE_ROWS)
    return ShownTier(
        number=number,
        tier=tier,
        rows=[_show_row(each, row, wrong, at) for each, row in enumerate(rows, 1)],
        wrong={name: wrong.get(f"{at}{name}", "") for name in ("above", "compare", "scope")},
        is_spare=is_spare,
    )
