"""Reading a rate document: everything that is wrong with it at once, each by its path and with a cure."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from billing.core.model_names import canonical_provider, canonical_tier, name_spellings
from billing.core.rate_documents.document import METER_BY_USAGE, RateDocument, has_nested_repeats
from ledger.core.entries import PICO

MATCHES = ("exact", "prefix", "pattern")
COMPARISONS = (">", ">=")
CONTEXT_SCOPES = ("request", "marginal")
QUANTITY_SCOPES = ("graduated", "volume", "package")
CURRENCIES = ("USD",)
RATES_PER_DOCUMENT_MAX = 20_000
METERS_PER_RATE_MAX = 100
TIERS_MAX = 20
TEXT_MAX = 500
PER_MAX = 10**12
PRIORITY_MAX = 10**6
YEAR_FIRST, YEAR_LAST = 2000, 2199

_METER_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONDITION = re.compile(r"[a-z0-9][a-z0-9_.:=/-]{0,99}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?")
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at `path`, and what to write instead."""

    path: str
    problem: str
    cure: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}. {self.cure}."


class RatesRefused(ValueError):
    """A rate document that is not one; `problems` names everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class RatesFile:
    """The rates, and `aliases`: (provider, model) as sent, in lower case, to the provider and model that they mean."""

    rates: tuple[RateDocument, ...]
    aliases: Mapping[tuple[str, str], tuple[str, str]]


def read_rates_file(text: str) -> RatesFile:
    """What a JSON text says; raises `RatesRefused` with all problems at once."""
    problems: list[Problem] = []

    def refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name in find_repeated_names(pairs):
            problems.append(Problem(f"…{name}", "stands twice in one object", "Keep one of them"))
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=refuse_repetition)
    except (ValueError, RecursionError) as error:
        raise RatesRefused([Problem("document", f"is not JSON: {error}", "Send a JSON object")]) from None
    if problems:
        raise RatesRefused(problems)
    return _read_document(value)


def find_repeated_names(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    """The names that stand more than once in one JSON object: of two prices nobody knows which is meant."""
    counts = Counter(name for name, _ in pairs)
    return sorted(name for name, count in counts.items() if count > 1)


def read_rates(value: Any) -> list[RateDocument]:
    """The rates of `{"rates": [...]}`; raises `RatesRefused` with all problems at once."""
    return list(_read_document(value).rates)


def _read_document(value: Any) -> RatesFile:
    reader = _Reader()
    read = reader.read_document(value)
    if not reader.problems:
        reader.problems.extend(_find_overlaps(read.rates))
    if reader.problems:
        raise RatesRefused(reader.problems)
    return read


def parse_time(text: object) -> datetime | None:
    """An RFC 3339 moment in UTC; None when it is none, or names no zone."""
    if not isinstance(text, str) or "T" not in text.upper():
        return None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day have no hour in some zones
        return None


class _Reader:
    """Walks a document once and keeps every problem."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, path: str, problem: str, cure: str) -> None:
        self.problems.append(Problem(path, problem, cure))

    def read_document(self, value: Any) -> RatesFile:
        document = self._object(value, "document", required=(), optional=("rates", "aliases"))
        rates, aliases = document.get("rates", []), document.get("aliases", [])
        if not isinstance(rates, list) or len(rates) > RATES_PER_DOCUMENT_MAX:
            self.refuse("rates", "is no list of rates", f"List at most {RATES_PER_DOCUMENT_MAX}")
            rates = []
        if not isinstance(aliases, list) or len(aliases) > RATES_PER_DOCUMENT_MAX:
            self.refuse("aliases", "is no list of aliases", f"List at most {RATES_PER_DOCUMENT_MAX}")
            aliases = []
        if not rates and not aliases and not self.problems:
            self.refuse("rates", "holds nothing", "List a rate, or an alias beside it")
        read = [self._rate(rate, f"rates[{index}]") for index, rate in enumerate(rates)]
        return RatesFile(
            tuple(rate for rate in read if rate is not None),
            dict(self._alias(alias, f"aliases[{index}]") for index, alias in enumerate(aliases)),
        )

    def _alias(self, value: Any, path: str) -> tuple[tuple[str, str], tuple[str, str]]:
        alias = self._object(value, path, required=("provider", "model", "means"), optional=())
        means = self._object(alias.get("means", {}), f"{path}.means", required=("provider", "model"), optional=())
        sent = (self._text(alias, "provider", path).lower(), self._text(alias, "model", path).lower())
        return sent, (
            canonical_provider(self._text(means, "provider", f"{path}.means")),
            self._text(means, "model", f"{path}.means").lower(),
        )

    def _rate(self, value: Any, path: str) -> RateDocument | None:
        before = len(self.problems)
        by_report = isinstance(value, dict) and value.get("price_from") == "reported_cost"
        rate = self._object(
            value, path,
            required=("provider", "model", "currency", "effective_from", "source")
            + (() if by_report else ("meters",)),
            optional=("match", "priority", "effective_to", "service_tier", "region", "time_window", "tenant",
                      "price_from", "minimum", "daily_fee") + (("meters",) if by_report else ("context_tiers",)),
        )  # fmt: skip
        content = self._content(rate, path, by_report=by_report)
        start, end = self._interval(rate, path)
        if len(self.problems) > before or start is None:
            return None
        return RateDocument(start, end, content)

    def _content(self, rate: Mapping[str, Any], path: str, *, by_report: bool) -> dict[str, Any]:
        match = self._one_of(rate.get("match", "exact"), f"{path}.match", MATCHES)
        provider = self._text(rate, "provider", path)
        content: dict[str, Any] = {
            "provider": canonical_provider(provider),
            "model": self._model(rate, path, match, provider),
            "match": match,
            "currency": self._one_of(rate.get("currency", "USD"), f"{path}.currency", CURRENCIES),
            "service_tier": canonical_tier(
                self._condition(rate.get("service_tier", "standard"), f"{path}.service_tier")
            ),
            "region": self._condition(rate.get("region", ""), f"{path}.region", may_be_empty=True),
            "source": self._source(rate.get("source"), path),
        }
        # Null is absent. Anything else is what somebody meant: a tenant of '' is a slip, and not every tenant.
        if rate.get("priority") is not None and (
            priority := self._priority(rate["priority"], f"{path}.priority", match)
        ):
            content["priority"] = priority
        if rate.get("time_window") is not None:
            content["time_window"] = self._window(rate["time_window"], f"{path}.time_window")
        if rate.get("tenant") is not None:
            content["tenant"] = self._slug(rate["tenant"], f"{path}.tenant")
        if rate.get("daily_fee") is not None:
            content["daily_fee"] = self._price(rate["daily_fee"], f"{path}.daily_fee", 1)
            if not rate.get("tenant"):
                self.refuse(f"{path}.daily_fee", "is owed by nobody", "Name the tenant that owes it")
        if rate.get("minimum") is not None:
            content["minimum"] = self._minimum(rate["minimum"], f"{path}.minimum")
        if "price_from" in rate:
            self._one_of(rate["price_from"], f"{path}.price_from", ("meters", "reported_cost"))
        if by_report:
            content["price_from"] = "reported_cost"
            if rate.get("meters"):
                self.refuse(f"{path}.meters", "stands beside price_from reported_cost", "Keep one of the two")
            return content
        content["meters"] = self._meters(rate.get("meters", {}), f"{path}.meters", quantity_tiers=True)
        tiers = rate.get("context_tiers")
        if tiers is not None and (read := self._context_tiers(tiers, f"{path}.context_tiers", content["meters"])):
            content["context_tiers"] = read
            self._refuse_both_tiers(content, path)
        return content

    def _refuse_both_tiers(self, content: Mapping[str, Any], path: str) -> None:
        """A month's quantity knows nothing of the prompts that it was made of."""
        dearer = {name for tier in content["context_tiers"] for name in tier["meters"]}
        for name, meter in content["meters"].items():
            if name in dearer and "quantity_tiers" in meter:
                self.refuse(
                    f"{path}.meters.{name}.quantity_tiers", "stand beside a context tier of it", "Leave one of the two"
                )

    # --- conditions ---

    def _interval(self, rate: Mapping[str, Any], path: str) -> tuple[datetime | None, datetime | None]:
        start, end = None, None
        if "effective_from" in rate and (start := parse_time(rate["effective_from"])) is None:
            self.refuse(f"{path}.effective_from", "is not a time with a zone", 'Write "2026-07-30T00:00:00Z"')
        if rate.get("effective_to") is not None and (end := parse_time(rate["effective_to"])) is None:
            self.refuse(f"{path}.effective_to", "is not a time with a zone", "Write one, or null for no end")
        for name, moment in (("effective_from", start), ("effective_to", end)):
            if moment and not YEAR_FIRST <= moment.year <= YEAR_LAST:
                self.refuse(f"{path}.{name}", "is out of reach", f"Name a year from {YEAR_FIRST} to {YEAR_LAST}")
        if start and end and end <= start:
            self.refuse(f"{path}.effective_to", "is not after effective_from", "Write a later time, or null")
        return start, end

    def _model(self, rate: Mapping[str, Any], path: str, match: str, provider: str) -> str:
        model = self._text(rate, "model", path)
        if match != "pattern":
            return name_spellings(canonical_provider(provider), model)[0] if match == "exact" else model.lower()
        try:
            re.compile(model)
        except (re.error, OverflowError, RecursionError) as error:
            self.refuse(f"{path}.model", f"is not a regular expression: {error}", "Correct it")
            return model
        if has_nested_repeats(model):
            self.refuse(
                f"{path}.model",
                "repeats what repeats itself, and may take hours to match one name",
                "Repeat a single character or a class, such as [a-z0-9-]+",
            )
        return model

    def _priority(self, value: Any, path: str, match: str) -> int:
        if type(value) is not int or not -PRIORITY_MAX <= value <= PRIORITY_MAX:
            self.refuse(path, "is not a whole number", f"Write one between ±{PRIORITY_MAX}")
            return 0
        if value and match != "pattern":
            self.refuse(path, f"does nothing for match {match}", "Leave it out; it orders patterns")
        return value

    def _window(self, value: Any, path: str) -> str:
        if not isinstance(value, str) or not _WINDOW.fullmatch(value) or value[:5] == value[6:]:
            self.refuse(path, "is not a window of the day in UTC", 'Write "HH:MM-HH:MM", such as "16:30-00:30"')
            return ""
        return value

    def _slug(self, value: Any, path: str) -> str:
        if not isinstance(value, str) or not _SLUG.fullmatch(value):
            self.refuse(path, "is not a tenant's slug", "Write it as create_tenant was told")
            return ""
        return value

    def _condition(self, value: Any, path: str, *, may_be_empty: bool = False) -> str:
        if may_be_empty and value in ("", None):
            return ""
        if not isinstance(value, str) or not _CONDITION.fullmatch(value.lower()):
            self.refuse(path, "is not a name", "Write letters, digits and _ . : = / - only")
            return ""
        return value.lower()

    def _source(self, value: Any, path: str) -> dict[str, str]:
        if value is None:
            return {}
        source = self._object(value, f"{path}.source", required=("name",), optional=("url", "read_on", "note"))
        read = {name: self._text(source, name, f"{path}.source") for name in sorted(source) if source[name]}
        if not read.get("url", "https://").lower().startswith(("https://", "http://")):
            self.refuse(f"{path}.source.url", "is no address of a page", "Write it with https://, or leave it out")
        return read

    # --- prices ---

    def _meters(self, value: Any, path: str, *, quantity_tiers: bool) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > METERS_PER_RATE_MAX:
            self.refuse(path, "is no object of meters", f"Name at most {METERS_PER_RATE_MAX} with their prices")
            return {}
        meters = {}
        for name, meter in value.items():
            if not _METER_NAME.fullmatch(name):
                self.refuse(f"{path}.{name}", "is no name of a meter", "Write lower-case letters, digits and _")
            elif name in METER_BY_USAGE:
                self.refuse(f"{path}.{name}", "names a usage, not a meter", f"Write {METER_BY_USAGE[name]}")
            else:
                meters[name] = self._meter(meter, f"{path}.{name}", quantity_tiers=quantity_tiers)
        return meters

    def _meter(self, value: Any, path: str, *, quantity_tiers: bool) -> dict[str, Any]:
        optional = ("list_price", "minimum_per_call", "note") + (("quantity_tiers",) if quantity_tiers else ())
        meter = self._object(value, path, required=("price", "per"), optional=optional)
        per = self._whole(meter.get("per", 1), f"{path}.per", PER_MAX) or 1
        read: dict[str, Any] = {"per": per}
        if "price" in meter:
            read["price"] = self._price(meter["price"], f"{path}.price", per)
        if meter.get("list_price") is not None:
            read["list_price"] = self._price(meter["list_price"], f"{path}.list_price", per)
        if read.get("list_price") == read.get("price"):
            read.pop("list_price", None)
        if meter.get("minimum_per_call") is not None:
            read["minimum_per_call"] = self._whole(meter["minimum_per_call"], f"{path}.minimum_per_call", PER_MAX)
        if meter.get("note") not in (None, ""):
            read["note"] = self._text(meter, "note", path)
        tiers = meter.get("quantity_tiers")
        if tiers is not None and (steps := self._quantity_tiers(tiers, f"{path}.quantity_tiers", per)):
            read["quantity_tiers"] = steps
        return read

    def _price(self, value: Any, path: str, per: int) -> str:
        if type(value) is int:
            value = str(value)
        if not isinstance(value, str) or not _PRICE.fullmatch(value):
            self.refuse(path, "is not a price", 'Write a decimal number of USD as text, such as "0.25"')
            return "0"
        pico = Fraction(value) * PICO
        # A third of a pico-dollar is not a price; a price an hour has no end when it is written a second.
        if (pico / per if _divides_ten(per) else pico).denominator != 1:
            self.refuse(
                path,
                f"has more than 12 decimals for one unit ({value} per {per})",
                "Round it to 6 decimals a million tokens, or 12 a unit",
            )
        return _plain(Decimal(value))

    def _context_tiers(self, value: Any, path: str, base: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not isinstance(value, list) or len(value) > TIERS_MAX:
            self.refuse(path, "is not a list of tiers", f"List at most {TIERS_MAX} tiers, lowest first")
            return []
        tiers = [self._context_tier(tier, f"{path}[{index}]", base) for index, tier in enumerate(value)]
        starts = [(tier["input_tokens"], tier["compare"] == ">") for tier in tiers]
        if any(second <= first for first, second in zip(starts, starts[1:], strict=False)):
            self.refuse(path, "do not rise", "List the lowest threshold first, each once")
        if len({tier["scope"] for tier in tiers}) > 1:
            self.refuse(path, "mix the scopes request and marginal", "Give all tiers of a list the same scope")
        if tiers and tiers[0]["scope"] == "marginal" and any("minimum_per_call" in meter for meter in base.values()):
            self.refuse(path, "are marginal beside a minimum_per_call", "Leave one of the two out")
        return tiers

    def _context_tier(self, value: Any, path: str, base: Mapping[str, Any]) -> dict[str, Any]:
        names = ("input_tokens", "compare", "scope", "meters")
        tier = self._object(value, path, required=names, optional=())
        meters = self._meters(tier.get("meters", {}), f"{path}.meters", quantity_tiers=False)
        for name in sorted(set(meters) - set(base)):
            self.refuse(f"{path}.meters.{name}", "has no price below the tier", f"Name {name} in meters as well")
        return {
            "input_tokens": self._whole(tier.get("input_tokens", 1), f"{path}.input_tokens", 10**12),
            "compare": self._one_of(tier.get("compare", ">"), f"{path}.compare", COMPARISONS),
            "scope": self._one_of(tier.get("scope", "request"), f"{path}.scope", CONTEXT_SCOPES),
            "meters": meters,
        }

    def _quantity_tiers(self, value: Any, path: str, per: int) -> list[dict[str, Any]]:
        if not isinstance(value, list) or len(value) > TIERS_MAX:
            self.refuse(path, "is not a list of tiers", f"List at most {TIERS_MAX} tiers, lowest first")
            return []
        tiers = []
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            tier = self._object(item, at, required=("above", "scope", "price"), optional=("size", "flat"))
            read: dict[str, Any] = {
                "above": self._quantity(tier.get("above", 0), f"{at}.above"),
                "scope": self._one_of(tier.get("scope", "graduated"), f"{at}.scope", QUANTITY_SCOPES),
                "price": self._price(tier.get("price", "0"), f"{at}.price", per),
            }
            if tier.get("flat") is not None:
                read["flat"] = self._price(tier["flat"], f"{at}.flat", 1)
            if (read["scope"] == "package" and "size" not in tier) or (read["scope"] == "graduated" and "size" in tier):
                self.refuse(f"{at}.size", "belongs to packages", "Name it with scope package, never with graduated")
            elif "size" in tier:
                read["size"] = self._whole(tier["size"], f"{at}.size", 10**15)
            tiers.append(read)
        above = [Fraction(str(tier["above"])) for tier in tiers]
        if above != sorted(set(above)):
            self.refuse(path, "do not rise", "List the lowest quantity first, each once")
        if len({tier["scope"] for tier in tiers}) > 1:
            self.refuse(path, "mix scopes", "Give all quantity tiers of a meter the same scope")
        return tiers

    def _quantity(self, value: Any, path: str) -> int | str:
        """A quantity from zero on: whole as a number, else as its shortest text."""
        if isinstance(value, str) and _PRICE.fullmatch(value):
            text = _plain(Decimal(value))
            return text if "." in text else int(text)
        return self._whole(value, path, 10**15, least=0)

    def _minimum(self, value: Any, path: str) -> dict[str, str]:
        minimum = self._object(value, path, required=("amount", "period"), optional=())
        return {
            "amount": self._price(minimum.get("amount", "0"), f"{path}.amount", 1),
            "period": self._one_of(minimum.get("period", "month"), f"{path}.period", ("month",)),
        }

    # --- the simple kinds ---

    def _object(self, value: Any, path: str, *, required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.refuse(path, "is not an object", f"Write an object with {', '.join(required)}")
            return {}
        for name in required:
            if name not in value:
                self.refuse(f"{path}.{name}", "is missing", "Add it")
        for name in value:
            if name not in required and name not in optional:
                known = ", ".join((*required, *optional))
                self.refuse(f"{path}.{name}", "is not known", f"Leave it out; known here are {known}")
        return cast("dict[str, Any]", value)

    def _text(self, values: Mapping[str, Any], name: str, path: str) -> str:
        value = values.get(name, "")
        if name not in values:
            return ""
        if not isinstance(value, str) or not value.strip() or len(value) > TEXT_MAX or not value.isprintable():
            self.refuse(f"{path}.{name}", "is not a text", f"Write 1 to {TEXT_MAX} printable characters")
            return ""
        return value.strip()

    def _whole(self, value: Any, path: str, most: int, *, least: int = 1) -> int:
        if type(value) is not int or not least <= value <= most:
            self.refuse(path, "is not a whole number in bounds", f"Write one between {least} and {most}")
            return least
        return value

    def _one_of(self, value: Any, path: str, choices: Sequence[str]) -> str:
        if not isinstance(value, str) or value not in choices:
            self.refuse(path, f"is {value!r}", f"Write {' or '.join(choices)}")
            return choices[0]
        return value


def _find_overlaps(rates: Sequence[RateDocument]) -> Iterator[Problem]:
    """Rates with the same conditions at the same time. One without an end gives way to the next that begins."""
    lines: dict[tuple[str, ...], list[tuple[datetime, int, RateDocument]]] = defaultdict(list)
    for index, rate in enumerate(rates):
        lines[rate.conditions].append((rate.effective_from, index, rate))
    for line in lines.values():
        last: tuple[datetime, int] | None = None  # until when the times are taken, and by which
        begun: datetime | None = None
        for start, index, rate in sorted(line, key=lambda each: each[:2]):
            if last is not None and (start == begun or start < last[0]):
                first, second = sorted((last[1], index))
                yield Problem(
                    f"rates[{second}]",
                    f"overlaps rates[{first}] under the same conditions",
                    "End one where the other begins",
                )
            begun = start
            ends = rate.effective_to or start
            if last is None or ends >= last[0]:
                last = (ends, index)


def _divides_ten(number: int) -> bool:
    """Whether a division by `number` ends."""
    for factor in (2, 5):
        while number % factor == 0:
            number //= factor
    return number == 1


def _plain(number: Decimal) -> str:
    """A number without exponent and without trailing zeros, so that equal prices are equal texts."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
