"""Plain cost lines: a log that knows a model, a total of tokens and what was paid, and little else.

`{"timestamp": "2026-11-02 09:15:00", "model": "gpt-4", "tokens": 1500, "cost_per_1k_tokens": 0.03, "cost": 0.045}`:
no id, no zone, no provider, and nothing of what was input and what was output. `docs/logs.md` says what is made of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from billing.core.model_names import PROVIDERS, canonical_provider
from billing.core.usage import QUANTITY_MAX, Usage, UsageEvent

FIELDS = (
    "timestamp", "model", "tokens", "cost_per_1k_tokens", "cost", "id", "provider", "feature", "user", "environment",
)  # fmt: skip
REQUIRED = ("timestamp", "model", "tokens")
TEXT_LENGTH_MAX = 256  # as of every event
SOURCE_LENGTH_MAX = 200  # a line's number stands behind it
MONEY_MAX = Decimal(10) ** 11
COST_STEP = Decimal("0.000000000001")  # twelve decimals, as the ledger keeps them
HALF_A_CENT = Decimal("0.005")
DECIMALS_MAX = 40
YEAR_FIRST = 2000
MILLISECONDS_FROM = 10**11  # as seconds it would be the year 5138

# Whose model it is, where nobody says through whom it was called; the first that the name begins with.
MAKERS = (
    ("gpt-", "openai"), ("chatgpt", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
    ("text-embedding-", "openai"), ("text-davinci-", "openai"), ("dall-e", "openai"), ("whisper", "openai"),
    ("claude", "anthropic"), ("gemini", "google"), ("mistral", "mistral"), ("mixtral", "mistral"),
    ("ministral", "mistral"), ("codestral", "mistral"), ("command", "cohere"), ("deepseek", "deepseek"),
    ("grok", "x-ai"), ("sonar", "perplexity"),
)  # fmt: skip
UNKNOWN_PROVIDER = "unknown"


@dataclass(frozen=True, slots=True)
class CostLineOptions:
    """What a log does not say of itself.

    source: the log's name; with a line's number it identifies a line without an id.
    zone: of times that name none. No provider: the line's own, else whose model it is by its name.
    ignored: further fields of the lines that are left out on purpose.
    """

    source: str
    zone: tzinfo | None = None
    provider: str = ""
    feature: str = ""
    environment: str = "production"
    ignored: frozenset[str] = frozenset()


class LineProblem(NamedTuple):
    """One thing wrong with a line: its field, a stable code, and the cure."""

    field: str
    code: str
    detail: str


class CostLineRefused(ValueError):
    """A line that cannot be booked as it stands; `problems` holds all that is wrong with it."""

    def __init__(self, problems: tuple[LineProblem, ...]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}".strip() for problem in problems))
        self.problems = problems


def read_cost_line(line: object, *, number: int, options: CostLineOptions) -> UsageEvent:
    """The usage event that the line means: all tokens as input, the cost beside as reported. Raises CostLineRefused.

    number: from 1, its place in the log. Numbers are ints, Decimals or their text, never floats.
    """
    if not isinstance(line, Mapping):
        raise CostLineRefused((LineProblem("", "wrong_type", "a cost line is an object"),))
    problems: list[LineProblem] = []
    problems += [
        LineProblem(_printable(str(name)), "unknown_field", "is no field of a cost line; name it among those to ignore")
        for name in line
        if name not in FIELDS and name not in options.ignored
    ]
    texts = {
        name: _read_text(line, name, problems) for name in ("model", "id", "provider", "feature", "user", "environment")
    }
    moment, is_ambiguous = _read_time(line.get("timestamp"), options.zone, problems)
    tokens = _read_number(line, "tokens", QUANTITY_MAX, problems)
    if tokens is not None and tokens != int(tokens):
        problems.append(LineProblem("tokens", "wrong_type", f"is {tokens}: expected a whole number"))
    per_1k = _read_number(line, "cost_per_1k_tokens", MONEY_MAX, problems)
    cost = _read_number(line, "cost", MONEY_MAX, problems)
    if problems or moment is None or tokens is None:
        raise CostLineRefused(tuple(problems))
    provider, is_assumed = _find_provider(texts, options)
    computed = None if per_1k is None else tokens * per_1k / 1000
    paid = cost if cost is not None else computed
    if paid is not None and paid > MONEY_MAX:
        raise CostLineRefused((LineProblem("cost_per_1k_tokens", "out_of_range", f"makes a cost of {paid:.0f}"),))
    tags = {
        "log": "cost_line",
        "tokens": "total_as_input",
        "cost_per_1k_tokens": "" if per_1k is None else f"{per_1k:f}",
        "provider": "assumed" if is_assumed else "",
        "time": "ambiguous" if is_ambiguous else "",
        "cost": "differs_from_rate" if _differs(cost, computed) else "",
    }
    return UsageEvent(
        event_id=texts["id"] or f"{options.source}:{number}",
        source=f"log:{options.source}",
        time=moment,
        provider=provider,
        model=texts["model"],
        usage=Usage(input_tokens=int(tokens)),
        environment=texts["environment"] or options.environment,
        feature=texts["feature"] or options.feature,
        user=texts["user"],
        tags={name: value for name, value in tags.items() if value},
        reported_cost=None if paid is None else paid.quantize(COST_STEP),
    )


def _printable(name: str) -> str:
    return name[:80] if name.isprintable() else ascii(name)[:80]


def _read_text(line: Mapping[str, object], name: str, problems: list[LineProblem]) -> str:
    value = line.get(name)
    if value is None or value == "":
        if name in REQUIRED:
            problems.append(LineProblem(name, "missing_field", "is required"))
        return ""
    if not isinstance(value, str):
        problems.append(LineProblem(name, "wrong_type", "must be text"))
        return ""
    if len(value) > TEXT_LENGTH_MAX:
        problems.append(LineProblem(name, "too_long", f"has {len(value):,} characters; at most {TEXT_LENGTH_MAX}"))
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        problems.append(LineProblem(name, "invalid_text", "holds a character that is no text"))
    return value


def _read_number(
    line: Mapping[str, object], name: str, most: Decimal | int, problems: list[LineProblem]
) -> Decimal | None:
    """A number >= 0 exactly as it is written; None where none stands there."""
    value = line.get(name)
    if value is None or value == "":
        if name in REQUIRED:
            problems.append(LineProblem(name, "missing_field", "is required"))
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise InvalidOperation
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        problems.append(LineProblem(name, "wrong_type", f"is {str(value)[:40]!r}: expected a number such as 0.045"))
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or not 0 <= number <= most or exponent < -DECIMALS_MAX:
        detail = f"is {str(value)[:40]}: expected 0 to {most:,} with at most {DECIMALS_MAX} decimals"
        problems.append(LineProblem(name, "out_of_range", detail))
        return None
    return number


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_NUMBER = re.compile(r"\d{9,13}([.]\d+)?", re.ASCII)
DATE_ALONE = re.compile(r"[\d-]{1,10}", re.ASCII)


def _read_time(value: object, zone: tzinfo | None, problems: list[LineProblem]) -> tuple[datetime | None, bool]:
    """The moment in UTC, and whether it was the earlier of two: a clock that is set back shows an hour twice."""
    problem = _find_time_problem(value)
    if problem:
        problems.append(LineProblem("timestamp", *problem))
        return None, False
    text = str(value).strip()
    try:
        if EPOCH_NUMBER.fullmatch(text):
            number = Decimal(text) / (1000 if Decimal(text) >= MILLISECONDS_FROM else 1)
            return EPOCH + timedelta(microseconds=int(number * 1_000_000)), False
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return _keep_years(moment.astimezone(UTC), problems), False
        if zone is not None:
            return _place_in_zone(moment, zone, problems)
    except (ValueError, OverflowError):
        detail = f"is {text[:40]!r}: expected a date and a time, ISO 8601"
        problems.append(LineProblem("timestamp", "invalid_time", detail))
        return None, False
    cure = (
        "names no zone: say in which the log was written, by timezone=Europe/Berlin (--timezone of the command), or UTC"
    )
    problems.append(LineProblem("timestamp", "zone_missing", cure))
    return None, False


def _find_time_problem(value: object) -> tuple[str, str] | None:
    if value is None or value == "":
        return "missing_field", "is required"
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return "wrong_type", "must be a time as text, or seconds since 1970"
    if isinstance(value, str) and DATE_ALONE.fullmatch(value.strip()) and not EPOCH_NUMBER.fullmatch(value.strip()):
        return "invalid_time", f"is {value!r}: a day is no time"
    return None


def _place_in_zone(local: datetime, zone: tzinfo, problems: list[LineProblem]) -> tuple[datetime | None, bool]:
    """The moment at which the clocks of `zone` showed `local`; the earlier one, where they did so twice."""
    earlier = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    later = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if earlier.astimezone(zone).replace(tzinfo=None, fold=0) != local:
        detail = (
            f"is {local.isoformat(' ')}, which {zone} skipped when its clocks were set forward: is it the log's zone?"
        )
        problems.append(LineProblem("timestamp", "nonexistent_time", detail))
        return None, False
    return _keep_years(earlier, problems), earlier != later


def _keep_years(moment: datetime, problems: list[LineProblem]) -> datetime | None:
    if moment.year >= YEAR_FIRST:
        return moment
    problems.append(LineProblem("timestamp", "time_out_of_window", f"is {moment.date()}: before {YEAR_FIRST}"))
    return None


def _find_provider(texts: Mapping[str, str], options: CostLineOptions) -> tuple[str, bool]:
    """Through whom the model was called, and whether that was taken from the model's name alone."""
    if said := texts["provider"] or options.provider:
        return said, False
    model = texts["model"].strip().lower()
    first, slash, _ = model.partition("/")
    if slash and canonical_provider(first) in PROVIDERS:
        return canonical_provider(first), False
    return next((provider for start, provider in MAKERS if model.startswith(start)), UNKNOWN_PROVIDER), True


def _differs(cost: Decimal | None, computed: Decimal | None) -> bool:
    """Whether a line's cost is not its tokens at its rate: rounding to the cost's last digit or to a cent aside."""
    if cost is None or computed is None:
        return False
    exponent = cost.as_tuple().exponent
    last_digit = Decimal(1).scaleb(exponent) if isinstance(exponent, int) else COST_STEP
    return abs(cost - computed) > min(max(last_digit / 2, COST_STEP), HALF_A_CENT)
