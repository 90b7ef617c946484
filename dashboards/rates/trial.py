"""A usage that a person types or pastes: read into the event that it means, with each mistake at its field."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import QueryDict

from billing.core.model_names import canonical_tier
from billing.core.provider_usage import ProviderUsageUnknown, read_provider_usage
from billing.core.usage import QUANTITY_MAX, UsageEvent, UsageInconsistent, split_usage

# A field's name is what the wire calls it.
TOKEN_FIELDS = (
    ("input_tokens", "Input tokens", "with those from and to a cache"),
    ("cache_read_tokens", "Read from a cache", "of the input"),
    ("cache_write_tokens", "Written to a cache", "of the input"),
    ("cache_write_1h_tokens", "Written for an hour", "of the input"),
    ("output_tokens", "Output tokens", "with reasoning"),
    ("reasoning_tokens", "Of them reasoning", "of the output"),
)
TEXT_FIELDS = ("provider", "model", "service_tier", "region", "time", "reported_cost")
OTHER_METERS = (
    "images", "audio_seconds", "video_seconds", "gpu_seconds", "searches", "web_searches", "characters", "pages",
    "requests", "storage_gb_hours", "audio_input_tokens", "audio_output_tokens", "image_input_tokens",
    "image_output_tokens",
)  # fmt: skip
METERS_MAX = 20
METER_ROWS_MIN = 3
TEXT_LENGTH_MAX = 256
COST_STEP = Decimal("1e-12")
PASTED_LENGTH_MAX = 256_000
TIME_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field, and its cure. id: of the field on the page."""

    name: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class TrialForm:
    """What was asked: texts as they were typed, meters as (name, quantity), the event they mean, or problems."""

    texts: Mapping[str, str]
    meters: Sequence[tuple[str, str]]
    cache_hit: bool
    event: UsageEvent | None
    problems: Sequence[FieldProblem]
    is_empty: bool = False
    pasted: str = ""

    def get_problem(self, name: str) -> str:
        return next((problem.text for problem in self.problems if problem.id == name), "")

    def get_query(self) -> dict[str, Any]:
        """The parameters of an address that asks the same; what was left empty is left out."""
        query: dict[str, Any] = {name: text for name, text in self.texts.items() if text}
        if self.meters:
            query["meter"] = [name for name, _ in self.meters]
            query["quantity"] = [quantity for _, quantity in self.meters]
        return query | ({"cache_hit": "on"} if self.cache_hit else {})


@dataclass(slots=True)
class _Reader:
    """Reads the fields one by one and keeps every problem."""

    problems: list[FieldProblem] = field(default_factory=list)

    def refuse(self, name: str, text: str, *, at: str = "") -> None:
        self.problems.append(FieldProblem(name, at or name, text))

    def read_quantity(self, name: str, text: str, *, at: str = "", whole: bool = True) -> int | Decimal:
        """0 for an empty field, and for one that cannot be read."""
        plain = text.replace(",", "").replace("_", "").replace("\N{NARROW NO-BREAK SPACE}", "").strip()
        if not plain:
            return 0
        try:
            number = Decimal(plain)
        except InvalidOperation:
            self.refuse(name, f"“{text[:40]}” is no number. Write digits, such as 12000.", at=at)
            return 0
        if not number.is_finite() or not 0 <= number <= QUANTITY_MAX:
            self.refuse(name, f"must be from 0 to {QUANTITY_MAX:,}.", at=at)
            return 0
        if number == number.to_integral_value():
            return int(number)
        if whole:
            self.refuse(name, "counts tokens: write a whole number.", at=at)
            return 0
        return number

    def read_time(self, text: str, now: datetime) -> datetime:
        """A moment in UTC; `now` for an empty field."""
        if not text:
            return now
        for form in TIME_FORMS:
            try:
                return datetime.strptime(text, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        try:
            moment = datetime.fromisoformat(text)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.refuse("time", f"“{text[:40]}” is no time. Write it in UTC, such as 2026-07-30 12:00.")
            return now


def read_trial(query: QueryDict, *, now: datetime) -> TrialForm:
    """The usage that an address asks for."""
    texts = {name: query.get(name, "").strip() for name in (*TEXT_FIELDS, *(name for name, _, _ in TOKEN_FIELDS))}
    meters = _list_meters(query)
    cache_hit = query.get("cache_hit") == "on"
    if not any(texts[name] for name in texts if name != "time") and not meters:
        return TrialForm(texts, (), cache_hit, None, (), is_empty=True)
    reader = _Reader()
    event = _read_event(reader, texts, meters, cache_hit=cache_hit, now=now)
    return TrialForm(texts, meters, cache_hit, None if reader.problems else event, reader.problems)


def _list_meters(query: QueryDict) -> list[tuple[str, str]]:
    pairs = zip(query.getlist("meter"), query.getlist("quantity"), strict=False)
    return [(name.strip(), quantity.strip()) for name, quantity in pairs if name.strip() or quantity.strip()]


def _read_event(
    reader: _Reader, texts: Mapping[str, str], meters: Sequence[tuple[str, str]], *, cache_hit: bool, now: datetime
) -> UsageEvent | None:
    for name in ("provider", "model", "service_tier", "region"):
        if len(texts[name]) > TEXT_LENGTH_MAX or "\0" in texts[name]:
            reader.refuse(name, f"has at most {TEXT_LENGTH_MAX} characters, none of them NUL.")
    for name in ("provider", "model"):
        if not texts[name]:
            reader.refuse(name, f"is missing. Write it as your events do, such as {_EXAMPLES[name]}.")
    wire = {name: reader.read_quantity(name, texts[name]) for name, _, _ in TOKEN_FIELDS}
    wire |= _read_meters(reader, meters, known=wire)
    reported = reader.read_quantity("reported_cost", texts["reported_cost"], whole=False)
    if Decimal(reported) % COST_STEP:
        reader.refuse("reported_cost", "has more than 12 decimals. Round it as the provider bills it.")
    moment = reader.read_time(texts["time"], now)
    try:
        usage = split_usage({name: quantity for name, quantity in wire.items() if quantity})
    except UsageInconsistent as problem:
        reader.refuse("usage", f"{problem}. The whole contains its parts: raise it, or lower them.", at="input_tokens")
        return None
    return UsageEvent(
        event_id="trial",
        source="",
        time=moment,
        provider=texts["provider"],
        model=texts["model"],
        usage=usage,
        service_tier=canonical_tier(texts["service_tier"]),
        region=texts["region"],
        cache_hit=cache_hit,
        reported_cost=Decimal(reported) if texts["reported_cost"] else None,
    )


_EXAMPLES = {"provider": "openai", "model": "gpt-5.4-2026-03-05"}


def _read_meters(
    reader: _Reader, meters: Sequence[tuple[str, str]], *, known: Mapping[str, object]
) -> dict[str, int | Decimal]:
    found: dict[str, int | Decimal] = {}
    if len(meters) > METERS_MAX:
        reader.refuse("meter", f"at most {METERS_MAX} further meters.", at="meter-1")
        return found
    for number, (name, quantity) in enumerate(meters, 1):
        at = f"meter-{number}"
        if not name:
            reader.refuse("meter", "a quantity without its meter. Name what it counts, such as images.", at=at)
        elif name in known:
            reader.refuse(name, "has a field of its own above. Write its quantity there.", at=at)
        elif name in found:
            reader.refuse(name, "stands twice. Add the quantities up.", at=at)
        elif len(name) > TEXT_LENGTH_MAX or "\0" in name:
            reader.refuse("meter", f"has at most {TEXT_LENGTH_MAX} characters, none of them NUL.", at=at)
        else:
            found[name] = reader.read_quantity(name, quantity, at=at, whole=name.endswith("_tokens"))
    return found


# --- a pasted object ---


def read_pasted(form: QueryDict) -> TrialForm:
    """A provider's usage object, or a whole answer that holds one, as the fields that it fills.

    What was chosen beside it (provider, model, tier, region, time) stays where the object says nothing.
    """
    texts = {name: form.get(name, "").strip() for name in TEXT_FIELDS} | {name: "" for name, _, _ in TOKEN_FIELDS}
    pasted = form.get("provider_usage", "")
    reader = _Reader()
    if not texts["provider"]:
        reader.refuse("provider", "is missing: it says in whose words the object is written.")
    body = _load_object(reader, pasted)
    if reader.problems or body is None:
        return TrialForm(texts, (), False, None, reader.problems, pasted=pasted)
    try:
        said = read_provider_usage(texts["provider"], body)
    except (UsageInconsistent, ProviderUsageUnknown) as problem:
        reader.refuse("provider_usage", f"{problem}")
        return TrialForm(texts, (), False, None, reader.problems, pasted=pasted)
    own = {name for name, _, _ in TOKEN_FIELDS}
    texts |= {name: f"{quantity}" for name, quantity in said.usage.items() if name in own}
    texts["model"] = texts["model"] or said.model
    texts["service_tier"] = said.service_tier or texts["service_tier"]
    if said.reported_cost is not None:
        texts["reported_cost"] = f"{said.reported_cost:f}"
    meters = [(name, f"{quantity}") for name, quantity in said.usage.items() if name not in own]
    if not said.usage:
        reader.refuse("provider_usage", "says that nothing was used: every count in it is zero.")
    return TrialForm(texts, meters, False, None, reader.problems, pasted=pasted)


def _load_object(reader: _Reader, pasted: str) -> Mapping[str, object] | None:
    if not pasted.strip():
        reader.refuse("provider_usage", "is empty. Paste the usage object of a provider's answer.")
        return None
    if len(pasted) > PASTED_LENGTH_MAX:
        reader.refuse("provider_usage", f"has at most {PASTED_LENGTH_MAX:,} characters. Paste the usage object alone.")
        return None
    try:
        body = json.loads(pasted, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError) as problem:
        reader.refuse("provider_usage", f"is no JSON: {problem}. Copy the object with its braces.")
        return None
    if "\\ud" in pasted.lower():  # half of a pair cannot stand in an address
        reader.refuse("provider_usage", "holds escaped surrogates. Write the characters themselves, or leave them out.")
        return None
    if not isinstance(body, dict):
        reader.refuse("provider_usage", "must be an object in braces, as the provider answers it.")
        return None
    return body


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def list_meter_rows(meters: Iterable[tuple[str, str]]) -> list[tuple[int, str, str]]:
    """The rows of the further meters, numbered, and empty ones to go on with: they do not grow while somebody types."""
    rows = [*meters, ("", "")]
    return [(number, *pair) for number, pair in enumerate([*rows, *[("", "")] * (METER_ROWS_MIN - len(rows))], 1)]
