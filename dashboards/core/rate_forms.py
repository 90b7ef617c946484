"""A rate as the fields of a form, and back: what a field cannot say is carried over from the rate it began with. Pure.

A *rate* here is one of a file's (docs/rates.md), with its interval; the form's texts are as they were typed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from billing.core.rate_documents import Problem, RateDocument, RatesRefused, parse_time, read_rates
from billing.core.rate_words import MILLION, TOKEN_METERS, WHOLE_METERS, list_own_prices, list_prices

# A field's name → what the rate calls it, where it says it plainly.
TEXTS = {
    "provider": "provider",
    "model": "model",
    "match": "match",
    "priority": "priority",
    "for": "tenant",
    "service_tier": "service_tier",
    "region": "region",
    "time_window": "time_window",
    "effective_from": "effective_from",
    "effective_to": "effective_to",
    "daily_fee": "daily_fee",
    "price_from": "price_from",
}
SOURCE_TEXTS = ("name", "url", "read_on", "note")
TIME_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S")
REPORTED = "reported_cost"
ROW_TEXTS = ("meter", "price", "list_price", "per")
STEP_TEXTS = ("meter", "above", "scope", "price", "size", "flat")
TIER_TEXTS = ("above", "compare", "scope")
TIERS_SHOWN_MAX = 20
DOCUMENT_LENGTH_MAX = 256_000
# What the reader of files says to who writes JSON, said to who fills in a form.
_CURES = {
    'Write a decimal number of USD as text, such as "0.25"': "Write digits and a point, such as 0.25",
    'Write "HH:MM-HH:MM", such as "16:30-00:30"': "Write 16:30-00:30, in UTC",
    "Add it": "Write it here",
    "Write a later time, or null": "Write a later time, or leave it empty",
    "Round it to 6 decimals a million tokens, or 12 a unit": "Round it to 6 decimals a million tokens, 12 a unit",
}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong, at the field `id`; name: as the rate calls it. id is 'fields' where no one field is to blame."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One meter's line. price: of `per` units; '' leaves the meter out."""

    meter: str = ""
    price: str = ""
    list_price: str = ""
    per: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.meter or self.price or self.list_price)


@dataclass(frozen=True, slots=True)
class TierRows:
    """A context tier. follows: kinds of tokens that cost in it what contains them."""

    above: str = ""
    compare: str = ">"
    scope: str = "request"
    rows: Sequence[PriceRow] = ()
    follows: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        return not self.above and all(not row.price for row in self.rows)


@dataclass(frozen=True, slots=True)
class StepRow:
    """One tier on a month's quantity of one meter."""

    meter: str = ""
    above: str = ""
    scope: str = "graduated"
    price: str = ""
    size: str = ""
    flat: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.meter or self.above or self.price or self.size or self.flat)


@dataclass(frozen=True, slots=True)
class RateFields:
    """The form as it stands. followers: kinds of tokens that may follow what contains them; followed: those that do.

    base: the rate that it began with, for what no field says.
    """

    texts: Mapping[str, str]
    rows: Sequence[PriceRow]
    followers: Sequence[str]
    followed: Sequence[str]
    tiers: Sequence[TierRows]
    steps: Sequence[StepRow]
    base: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadRate:
    """What the fields say: a document, or problems."""

    fields: RateFields
    document: RateDocument | None
    problems: Sequence[FieldProblem]

    def get_problem(self, field_id: str) -> str:
        return next((problem.text for problem in self.problems if problem.id == field_id), "")


# --- a rate as fields ---


def fill_fields(rate: Mapping[str, Any]) -> RateFields:
    """The form of a rate; the kinds of tokens that cost what contains them stand in no line of their own."""
    minimum, source = rate.get("minimum") or {}, rate.get("source") or {}
    texts = {name: str(rate.get(said) or "") for name, said in TEXTS.items()}
    texts |= {name: write_typed_time(texts[name]) for name in ("effective_from", "effective_to")}
    texts |= {f"source_{name}": str(source.get(name, "")) for name in SOURCE_TEXTS}
    texts["minimum"] = str(minimum.get("amount", ""))
    texts["match"], texts["service_tier"] = texts["match"] or "exact", texts["service_tier"] or "standard"
    followers = _list_followers(rate)
    return RateFields(
        texts=texts,
        rows=_list_rows(rate, followers),
        followers=followers,
        followed=followers,
        tiers=[_fill_tier(tier) for tier in rate.get("context_tiers", ())],
        steps=[
            StepRow(name, _write_count(step["above"]), step["scope"], step["price"], _write_count(step.get("size", "")),
                    step.get("flat", ""))
            for name, meter in rate.get("meters", {}).items()
            for step in meter.get("quantity_tiers", ())
        ],
        base=rate,
    )  # fmt: skip


def _list_followers(rate: Mapping[str, Any]) -> list[str]:
    """Meters that cost what contains them, and have nothing else of their own."""
    plain = {"price", "list_price", "per", "note"}
    contained = list_prices(rate).keys() - list_own_prices(rate).keys()
    return [name for name in TOKEN_METERS if name in contained and not rate["meters"][name].keys() - plain]


def _list_rows(rate: Mapping[str, Any], followers: Sequence[str]) -> list[PriceRow]:
    meters = rate.get("meters", {})
    return [
        PriceRow(
            name, meters[name]["price"], meters[name].get("list_price", ""), _write_count(meters[name]["per"])
        )
        for name in list_prices(rate)
        if name not in followers
    ]  # fmt: skip


def _fill_tier(tier: Mapping[str, Any]) -> TierRows:
    followers = _list_followers(tier)
    return TierRows(
        _write_count(tier["input_tokens"]), tier["compare"], tier["scope"], _list_rows(tier, followers), followers
    )


def _write_count(number: int | str) -> str:
    return f"{number:,}" if isinstance(number, int) else number


def write_typed_time(text: str) -> str:
    """A moment of a rate as a person types it, in UTC: 2026-07-30 00:00."""
    moment = parse_time(text)
    if moment is None:
        return text
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%Y-%m-%d %H:%M}"


# --- fields as they were sent ---


def read_fields(sent: Mapping[str, Sequence[str]]) -> RateFields:
    """The form as a browser sent it: each name with its values in their order."""

    def one(name: str) -> str:
        return (sent.get(name) or [""])[0].strip()

    texts = {name: one(name) for name in (*TEXTS, *(f"source_{each}" for each in SOURCE_TEXTS), "minimum")}
    tiers = [
        TierRows(
            *(one(f"tier-{number}-{name}") for name in TIER_TEXTS),
            rows=[PriceRow(*values) for values in _list_values(sent, ROW_TEXTS, f"tier-{number}-")],
            follows=list(sent.get(f"tier-{number}-follow", ())),
        )
        for number in _list_numbers(sent.get("tier", ()))
    ]
    return RateFields(
        texts=texts,
        rows=[PriceRow(*values) for values in _list_values(sent, ROW_TEXTS, "")],
        followers=list(sent.get("follower", ())),
        followed=list(sent.get("follow", ())),
        tiers=tiers,
        steps=[StepRow(*values) for values in _list_values(sent, STEP_TEXTS, "step_")],
        base=_load_base(one("base")),
    )


def _list_values(sent: Mapping[str, Sequence[str]], names: Sequence[str], before: str) -> Iterator[list[str]]:
    columns = [sent.get(before + name, ()) for name in names]
    for values in zip(*columns, strict=False):
        yield [value.strip() for value in values]


def _list_numbers(values: Sequence[str]) -> list[int]:
    return [int(value) for value in values[: TIERS_SHOWN_MAX + 1] if value.isdecimal() and len(value) < 4]


def _load_base(text: str) -> Mapping[str, Any]:
    try:
        base = json.loads(text) if len(text) <= DOCUMENT_LENGTH_MAX else {}
    except (ValueError, RecursionError):
        return {}
    return base if isinstance(base, dict) else {}


# --- fields as a rate ---


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
    at = path
    while at not in places and at:
        at = at[: max(at.rfind("."), at.rfind("["), 0)]
    return FieldProblem(places.get(at, "fields"), path, f"{problem.problem}. {said}")


def strip_path(path: str) -> str:
    """A path without the file that the form makes of one rate."""
    return path.removeprefix("rates[0]").removeprefix(".") or "the rate"


# --- the whole as a text ---


def write_rate_text(rate: Mapping[str, Any]) -> str:
    """The rate as a person edits it: JSON, two spaces deep."""
    return json.dumps(rate, ensure_ascii=False, indent=2)


def read_rate_text(text: str) -> tuple[RateDocument | None, list[FieldProblem]]:
    """The document of a rate that was written as JSON, or what is wrong with it, each by its path.

    Numbers with a point stay text, lest a price lose a digit.
    """
    if len(text) > DOCUMENT_LENGTH_MAX:
        return None, [FieldProblem("document", "document", f"has at most {DOCUMENT_LENGTH_MAX:,} characters.")]
    try:
        rate = json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        return None, [FieldProblem("document", "document", f"is not JSON: {error}. Write one object in braces.")]
    if not isinstance(rate, dict):
        return None, [FieldProblem("document", "document", "is no object. Write one rate in braces.")]
    try:
        (document,) = read_rates({"rates": [rate]})
    except RatesRefused as refused:
        told = [(strip_path(each.path), f"{each.problem}. {each.cure}.") for each in refused.problems]
        return None, [FieldProblem("document", path, text) for path, text in told]
    return document, []


def write_rate(document: RateDocument) -> dict[str, Any]:
    """A document as a rate of a file: its content and its interval."""
    return {
        **document.content,
        "effective_from": _write_moment(document.effective_from),
        "effective_to": _write_moment(document.effective_to) if document.effective_to else None,
    }


def _write_moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
