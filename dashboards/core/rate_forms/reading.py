"""What the fields of a form say: the document, or everything that is wrong with them, each at its field."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from billing.core.rate_documents import Problem, RateDocument, RatesRefused, parse_time, read_rates
from billing.core.rate_words import MILLION, TOKEN_METERS, WHOLE_METERS
from dashboards.core.rate_forms.fields import (
    SOURCE_TEXTS,
    STEP_TEXTS,
    TEXTS,
    PriceRow,
    RateFields,
    TierRows,
)

TIME_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S")
REPORTED = "reported_cost"
# What the reader of files says to who writes JSON, said to who fills in a form.
_CURES = {
    'Write a decimal number of USD as text, such as "0.25"': "Write digits and a point, such as 0.25",
    'Write "HH:MM-HH:MM", such as "16:30-00:30"': "Write 16:30-00:30, in UTC",
    "Add it": "Write it here",
    "Write a later time, or null": "Write a later time, or leave it empty",
    "Round it to 6 decimals a million tokens, or 12 a unit": "Round it to 6 decimals a million tokens, 12 a unit",
}


_TOO_LONG = re.compile(r"has more than 12 decimals for one unit \((\S+) per 1000000\)")

_UNNAMED = re.compile(r"Name (\w+) in meters as well\.")


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong, at the field `id`; name: as the rate calls it. id is 'fields' where no one field is to blame."""

    id: str
    name: str
    text: str

    @property
    def label(self) -> str:
        """The field as the form calls it: “Price of output”, “From”."""
        path = _TIER_PATH.sub("", self.name)
        if meter := _METER_PATH.fullmatch(path):
            said = f"{_METER_FIELDS.get(meter[2], 'A tier')} of {meter[1]}" if meter[2] else meter[1]
            return f"{said}, long prompts," if path != self.name else said
        if path != self.name:
            return "Long prompts"
        return _LABELS.get(path, path)


_TIER_PATH = re.compile(r"context_tiers\[\d+\]\.?")
_METER_PATH = re.compile(r"meters\.(\w+)(?:\.(.+))?")
_METER_FIELDS = {"price": "Price", "list_price": "List price", "per": "Unit"}
_LABELS = {
    "meters": "Prices",
    "match": "Name of the model",
    "tenant": "Tenant",
    "provider": "Provider",
    "model": "Model",
    "service_tier": "Service tier",
    "region": "Region",
    "time_window": "Hours of the day",
    "priority": "Priority among patterns",
    "effective_from": "From",
    "effective_to": "To",
    "daily_fee": "Fee a day",
    "minimum": "At least a month",
    "minimum.amount": "At least a month",
    "price_from": "A call costs",
    "source": "Source",
    "source.name": "Source",
    "source.url": "Address",
    "source.read_on": "Read on",
    "source.note": "Note",
    "quantity_tiers": "A tier on a month's quantity",
    "context_tiers": "Long prompts",
}


@dataclass(frozen=True, slots=True)
class ReadRate:
    """What the fields say: a document, or problems."""

    fields: RateFields
    document: RateDocument | None
    problems: Sequence[FieldProblem]

    def get_problem(self, field_id: str) -> str:
        return next((problem.text for problem in self.problems if problem.id == field_id), "")


@dataclass(slots=True)
class _Writer:
    """Writes the rate that the fields say, and remembers which field each part of it stands in."""

    fields: RateFields
    places: dict[str, str] = field(default_factory=dict)
    problems: list[FieldProblem] = field(default_factory=list)

    def write(self) -> dict[str, Any]:
        texts, base = self.fields.texts, self.fields.base
        shown = {*TEXTS.values(), "source", "minimum", "meters", "context_tiers"}
        rate = {name: value for name, value in base.items() if name not in shown}
        rate.setdefault("currency", "USD")
        for name, said in TEXTS.items():
            self.places[said] = name
            if texts[name]:
                rate[said] = texts[name]
        for name in ("effective_from", "effective_to"):
            if texts[name]:
                rate[name] = self._write_time(name, texts[name])
        if "priority" in rate:
            rate["priority"] = _read_count(rate["priority"])
        rate["source"] = self._write_source()
        if texts["minimum"]:
            period = (base.get("minimum") or {}).get("period", "month")
            rate["minimum"] = {"amount": texts["minimum"], "period": period}
            self.places["minimum"] = "minimum"
        if texts["price_from"] != REPORTED:
            rate.pop("price_from", None)
            rate |= self._write_meters()
        return rate

    def refuse(self, at: str, name: str, text: str) -> None:
        self.problems.append(FieldProblem(at, name, text))

    def _write_time(self, name: str, text: str) -> str:
        moment = read_typed_time(text)
        if moment is None:
            self.refuse(name, name, f"“{text[:40]}” is no time. Write it in UTC, such as 2026-07-30 00:00.")
            return datetime.max.replace(tzinfo=UTC).isoformat() if name == "effective_to" else "2000-01-01T00:00:00Z"
        return moment.isoformat()

    def _write_source(self) -> dict[str, str] | None:
        source = {name: self.fields.texts[f"source_{name}"] for name in SOURCE_TEXTS}
        self.places |= {f"source.{name}": f"source_{name}" for name in SOURCE_TEXTS}
        told = {name: text for name, text in source.items() if text}
        return told or None

    def _write_meters(self) -> dict[str, Any]:
        base = self.fields.base
        known = _read_meters(base.get("meters"))
        meters = self._write_rows(self.fields.rows, known, at="", path="meters")
        self._write_followers(meters, known, self.fields.followed, path="meters")
        if not meters and not self.problems:
            self.refuse("meter-1", "meters", "Write the price of one meter at least.")
        self._write_steps(meters)
        tiers = []
        for number, tier in enumerate(self.fields.tiers, 1):
            if not tier.is_empty:
                tiers.append(self._write_tier(number, len(tiers), tier, meters))
        return {"meters": meters} | ({"context_tiers": tiers} if tiers else {})

    def _write_rows(
        self, rows: Sequence[PriceRow], known: Mapping[str, Any], *, at: str, path: str
    ) -> dict[str, dict[str, Any]]:
        meters: dict[str, dict[str, Any]] = {}
        for number, row in enumerate(rows, 1):
            place = f"{path}.{row.meter}"
            if row.is_empty:
                continue
            self.places[place] = f"{at}meter-{number}"
            self.places |= {f"{place}.{name}": f"{at}{name}-{number}" for name in ("price", "list_price", "per")}
            if not row.meter:
                self.refuse(
                    f"{at}meter-{number}", path, "A price without its meter. Name what is priced, such as input."
                )
            elif row.meter in meters:
                self.refuse(f"{at}meter-{number}", place, f"{row.meter} stands twice. Keep one of the two.")
            elif not row.price and row.list_price:
                self.refuse(f"{at}price-{number}", f"{place}.price", "Write what is paid beside what is listed.")
            elif row.price:
                usual = MILLION if row.meter in TOKEN_METERS else 1
                meters[row.meter] = _carry(known.get(row.meter)) | {
                    "price": row.price,
                    "per": _read_count(row.per) if row.per else usual,
                    **({"list_price": row.list_price} if row.list_price else {}),
                }
        return meters

    def _write_followers(
        self, meters: dict[str, dict[str, Any]], known: Mapping[str, Any], followed: Sequence[str], *, path: str
    ) -> None:
        for name in followed:
            for each in ("price", "list_price", "per"):
                whole_place = self.places.get(f"{path}.{WHOLE_METERS.get(name, '')}.{each}", "fields")
                self.places.setdefault(f"{path}.{name}.{each}", whole_place)
            whole = meters.get(WHOLE_METERS.get(name, ""))
            if whole and name not in meters:
                prices = {each: whole[each] for each in ("price", "list_price", "per") if each in whole}
                meters[name] = _carry(known.get(name)) | prices

    def _write_tier(self, number: int, index: int, tier: TierRows, base_meters: Mapping[str, Any]) -> dict[str, Any]:
        at, path = f"tier-{number}-", f"context_tiers[{index}]"
        known: Mapping[str, Any] = {}
        tiers = self.fields.base.get("context_tiers")
        if isinstance(tiers, list) and number <= len(tiers) and isinstance(tiers[number - 1], dict):
            known = _read_meters(tiers[number - 1].get("meters"))
        self.places |= {path: f"{at}above", f"{path}.input_tokens": f"{at}above"}
        self.places |= {f"{path}.{name}": f"{at}{name}" for name in ("compare", "scope")}
        rows = [
            replace(row, per=row.per or str(base_meters.get(row.meter, {}).get("per", ""))) for row in tier.rows
        ]  # fmt: skip
        meters = self._write_rows(rows, known, at=at, path=f"{path}.meters")
        follows = [name for name in tier.follows if name in base_meters]
        self._write_followers(meters, known, follows, path=f"{path}.meters")
        return {
            "input_tokens": _read_count(tier.above) if tier.above else None,
            "compare": tier.compare,
            "scope": tier.scope,
            "meters": meters,
        }

    def _write_steps(self, meters: dict[str, dict[str, Any]]) -> None:
        for number, step in enumerate(self.fields.steps, 1):
            if step.is_empty:
                continue
            meter = meters.get(step.meter)
            if meter is None:
                self.refuse(
                    f"step_meter-{number}", "quantity_tiers", f"“{step.meter}” has no price above. Write it first."
                )
                continue
            steps = meter.setdefault("quantity_tiers", [])
            place = f"meters.{step.meter}.quantity_tiers[{len(steps)}]"
            self.places |= {f"{place}.{name}": f"step_{name}-{number}" for name in STEP_TEXTS}
            self.places.setdefault(f"meters.{step.meter}.quantity_tiers", f"step_meter-{number}")
            steps.append(
                {"above": _read_count(step.above) if step.above else 0, "scope": step.scope, "price": step.price}
                | ({"size": _read_count(step.size)} if step.size else {})
                | ({"flat": step.flat} if step.flat else {})
            )


def _carry(meter: object) -> dict[str, Any]:
    """What a line of the form does not say of a meter."""
    said = ("price", "list_price", "per", "quantity_tiers")
    return {name: value for name, value in meter.items() if name not in said} if isinstance(meter, dict) else {}


def _read_meters(meters: object) -> Mapping[str, Any]:
    return meters if isinstance(meters, dict) else {}


def _read_count(text: str) -> int | str:
    """A whole number with its thousands apart; as it was typed where it is none, for the reader to refuse."""
    plain = text.replace(",", "").replace(" ", "").replace("\N{NARROW NO-BREAK SPACE}", "")
    return int(plain) if plain.removeprefix("-").isdecimal() and plain.isascii() and len(plain) <= 18 else text


def read_typed_time(text: str) -> datetime | None:
    """A moment as a person types it: in UTC, unless it names a zone; None where it is none."""
    for form in TIME_FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return parse_time(text)


def read_rate_form(fields: RateFields) -> ReadRate:
    """The document that the fields say, or everything that is wrong with them, each at its field with its cure."""
    writer = _Writer(fields)
    rate = writer.write()
    problems = list(writer.problems)
    document = None
    try:
        (document,) = read_rates({"rates": [rate]})
    except RatesRefused as refused:
        for problem in refused.problems:
            placed = _place(problem, writer.places)
            if all(placed.id != told.id for told in problems):  # one word a field: the first
                problems.append(placed)
    return ReadRate(fields, None if problems else document, problems)


def _place(problem: Problem, places: Mapping[str, str]) -> FieldProblem:
    """The problem at its field, or at that of the part that holds it."""
    path = strip_path(problem.path)
    said = f"{_CURES.get(problem.cure, problem.cure)}."
    fault = problem.problem.replace("effective_from", "its beginning")
    if unnamed := _UNNAMED.fullmatch(said):
        said = f"Write what {unnamed[1]} costs above as well."
    if too_long := _TOO_LONG.fullmatch(fault):
        fault, said = f"has more than 6 decimals a million ({too_long[1]})", "Round it to 6."
    at = path
    while at not in places and at:
        at = at[: max(at.rfind("."), at.rfind("["), 0)]
    return FieldProblem(places.get(at, "fields"), path, f"{fault}. {said}")


def ask_source(read: ReadRate) -> ReadRate:
    """The same with a word at the source where it says none: a price that is kept says where it was read or agreed."""
    if read.document is None or read.document.content.get("source", {}).get("name"):
        return read
    cure = "Say where the price was read or agreed, such as Contract A-2026-11."
    return ReadRate(read.fields, None, [FieldProblem("source_name", "source.name", cure)])


def strip_path(path: str) -> str:
    """A path without the file that the form makes of one rate."""
    return path.removeprefix("rates[0]").removeprefix(".") or "the rate"
