"""Acts as people read them: what was done in words, by whom, and what the act says; the filters of the log."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import BadRequest
from django.http import QueryDict

from audit.acts import LoggedAct, list_logged_names, read_act_log
from billing.core.periods import start_of_day
from dashboards.access import Seat
from dashboards.frame import check_texts, make_link
from dashboards.rates.actors import PERSON, name_actors
from ledger.act_lists import ActFilters
from tenants.selectors import name_people

ACTS_PER_PAGE = 50
BEFORE = "_before"
FACTS_SHOWN = 6
FACT_LENGTH_MAX = 120
HASHES = ("content_hash", "contents_hash", "digest")  # of which the beginning says enough
SUBJECTS = {
    "alert_channel": "alert channel", "alert_delivery": "alert delivery", "watch": "thresholds", "key": "API key",
    "rejected": "rejected events", "member": "person who signs in", "person": "user of the tenant",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """name, what it is, and what it was before; '' where that is not said."""

    name: str
    text: str
    before: str


@dataclass(frozen=True, slots=True)
class ShownAct:
    """One act. subject, deed: of its name, in words. href: its entry; '' where the tenant does not read it."""

    act: LoggedAct
    subject: str
    deed: str
    actor: str
    facts: Sequence[Fact]
    href: str


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Which acts. name: whole or what stands before its dot, actor: as the ledger has it; '' for any."""

    name: str
    actor: str
    first: date | None
    last: date | None
    before: UUID | None

    def make_filters(self, *, timezone: str) -> ActFilters:
        zone = ZoneInfo(timezone)
        return ActFilters(
            names=(self.name,) if self.name else (),
            actors=(self.actor,) if self.actor else (),
            start=start_of_day(self.first, zone) if self.first else None,
            end=start_of_day(self.last + timedelta(days=1), zone) if self.last else None,
        )


@dataclass(frozen=True, slots=True)
class LogPage:
    """names: whatever there is to filter by, by subject. older_href: '' on the last page."""

    acts: Sequence[ShownAct]
    names: Mapping[str, Sequence[str]]
    older_href: str
    newest_href: str


def read_log_question(query: QueryDict) -> LogQuestion:
    """The filters of the address. Raises BadRequest for what is none."""
    check_texts(query)
    try:
        before = UUID(query["cursor"]) if query.get("cursor") else None
        first, last = (_read_day(query[name]) if query.get(name) else None for name in ("from", "to"))
    except ValueError:
        raise BadRequest("from and to are days, as 2026-11-03; cursor is what the page before gave") from None
    return LogQuestion(query.get("name", ""), query.get("actor", "").strip(), first, last, before)


def _read_day(text: str) -> date:
    """Raises ValueError, also for a day on which no ledger was kept."""
    day = date.fromisoformat(text)
    if not 2000 <= day.year < 2200:
        raise ValueError
    return day


def read_log_page(seat: Seat, question: LogQuestion, *, query: QueryDict) -> LogPage:
    """A page of the log, in a fixed number of queries."""
    page = read_act_log(
        tenant_id=seat.tenant.id,
        filters=question.make_filters(timezone=seat.tenant.timezone),
        before=question.before,
        limit=ACTS_PER_PAGE,
    )
    return LogPage(
        acts=show_acts(seat, page.acts),
        names=_group_names(list_logged_names(tenant_id=seat.tenant.id)),
        older_href=_link_log(query, cursor=str(page.next)) if page.next else "",
        newest_href=_link_log(query, cursor="") if question.before else "",
    )


def _link_log(query: QueryDict, *, cursor: str) -> str:
    changed = query.copy()
    changed.pop("cursor", None)
    if cursor:
        changed["cursor"] = cursor
    return make_link("audit_log", {name: changed.getlist(name) for name in changed})


def show_acts(seat: Seat, acts: Sequence[LoggedAct]) -> list[ShownAct]:
    """Acts with their actors named as the person before them may know them, in one query."""
    names = _name_actors(seat, {act.actor for act in acts})
    return [
        ShownAct(
            act,
            name_subject(act.name),
            act.name.partition(".")[2].replace("_", " "),
            names[act.actor],
            _list_facts(act.facts)[:FACTS_SHOWN],
            "" if act.is_operators and not seat.is_operator else _link_entry(seat, act),
        )
        for act in acts
    ]


def show_entry_act(seat: Seat, entry: Mapping[str, Any]) -> ShownAct:
    """The act that an entry of the tenant's own ledger is, with all that it says."""
    facts = {name: text for name, text in entry["tags"].items() if name != "actor"}
    [shown] = show_acts(
        seat,
        [
            LoggedAct(
                entry_id=entry["id"],
                recorded_at=entry["recorded_at"],
                acted_at=entry["charge_period_start"],
                name=entry["operation"],
                actor=entry["tags"]["actor"],
                facts=facts,
                is_operators=False,
            )
        ],
    )
    return replace(shown, facts=_list_facts(facts))


def _link_entry(seat: Seat, act: LoggedAct) -> str:
    """Of an act of the operator's own ledger there is no page: it belongs to no tenant."""
    return "" if act.is_operators else make_link("entry", seat.link_query, act.entry_id)


def name_subject(name: str) -> str:
    """What an act was about: what stands before its dot, in words."""
    subject = name.partition(".")[0]
    return SUBJECTS.get(subject, subject.replace("_", " "))


def _group_names(names: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(name.partition(".")[0], []).append(name)
    return grouped


def _name_actors(seat: Seat, actors: set[str]) -> dict[str, str]:
    """By actor, whom to name: a tenant's people are told their colleagues' names, and of others that they are ours."""
    if seat.is_operator:
        named = name_actors(actors) if seat.may_send else {}
    else:
        numbers = {
            int(number): actor
            for actor in actors
            if actor.startswith(PERSON) and (number := actor.removeprefix(PERSON)).isdecimal()
        }
        known = name_people(numbers, tenant_id=seat.tenant.id)
        named = {actor: known.get(number, f"the operator’s {actor}") for number, actor in numbers.items()}
    return {actor: named.get(actor, actor) for actor in actors} | {seat.actor: "you"}


def _list_facts(facts: Mapping[str, str]) -> list[Fact]:
    """What an act says, what was before beside what is; documents as what differs in them."""
    shown = []
    for name, text in facts.items():
        if name.endswith(BEFORE) and name.removesuffix(BEFORE) in facts:
            continue
        before = facts.get(f"{name}{BEFORE}")
        shown += _compare(name, text, before)
    return [fact for fact in shown if fact.text or fact.before]


def _compare(name: str, text: str, before: str | None) -> list[Fact]:
    document, earlier = _read_document(text), _read_document(before or "")
    if document is None:
        shortened = text[:16] if name in HASHES else _shorten(text)
        return [Fact(name.replace("_", " "), shortened, "" if before is None else _shorten(before) or "none")]
    names = [
        each for each in {**document, **(earlier or {})} if earlier is None or document.get(each) != earlier.get(each)
    ]
    return [
        Fact(
            each.replace("_", " "),
            _shorten(_write_value(document.get(each))),
            "" if earlier is None else _shorten(_write_value(earlier.get(each))) or "none",
        )
        for each in names
        if earlier is not None or _write_value(document[each]) not in ("", "no")
    ]


def _read_document(text: str) -> Mapping[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _write_value(value: object) -> str:
    if isinstance(value, dict):
        said = {name.replace("_", " "): text for name, each in value.items() if (text := _write_value(each))}
        return " ".join(f"{name} {text}" for name, text in said.items())
    if isinstance(value, list):
        return ", ".join(map(_write_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _shorten(text: str) -> str:
    return text if len(text) <= FACT_LENGTH_MAX else f"{text[:FACT_LENGTH_MAX]}…"


LOG_HEADING = ("recorded_at", "acted_at", "name", "actor", "facts", "ledger", "entry")


def list_log_rows(acts: Iterable[LoggedAct]) -> list[tuple[object, ...]]:
    """The log as a file's rows: the ledger's words, every fact."""
    return [
        (
            act.recorded_at,
            act.acted_at,
            act.name,
            act.actor,
            json.dumps(dict(act.facts), ensure_ascii=False, sort_keys=True),
            "operator" if act.is_operators else "tenant",
            act.entry_id,
        )
        for act in acts
    ]
