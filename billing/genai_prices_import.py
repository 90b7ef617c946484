"""The price lists of the pinned `genai-prices`, as rate documents: the only module that knows that library.

What the library decides at each call is written out once: the fallbacks of its unit tree (a cached token without a
price of its own costs what an input token costs) become prices with a note, its dates become intervals, its variants
become service tiers, the providers that it falls back to become lists of the provider itself, and the first model in
its order whose clause matches becomes the most specific name. So the rate book answers as the library would.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from typing import Any

from genai_prices import types
from genai_prices.data import providers as PROVIDERS
from genai_prices.data_units import unit_data as UNITS

from billing.core.model_names import canonical_provider, name_spellings
from billing.core.rate_documents import RateDocument

SOURCE = {"name": f"genai-prices {version('genai-prices')}", "url": "https://github.com/pydantic/genai-prices"}
# The library's undated prices hold for all time; an interval needs a beginning.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
NAME_LENGTH_MAX = 500
PRICE_DECIMALS = Decimal("0.000001")

# Our meter by the library's price key. Left out: what no usage of ours counts (text alone, tool tokens, pixels).
PRICE_KEY_BY_METER = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_input": "input_audio_mtok",
    "image_input": "input_image_mtok",
    "video_input": "input_video_mtok",
    "audio_cache_read": "cache_audio_read_mtok",
    "image_cache_read": "cache_image_read_mtok",
    "video_cache_read": "cache_video_read_mtok",
    "audio_output": "output_audio_mtok",
    "image_output": "output_image_mtok",
    "video_output": "output_video_mtok",
    "citation": "output_citation_mtok",
    "input_character": "input_mchars",
    "input_message": "input_text_messages_kcount",
    "audio_second": "audio_hours",
    "audio_input_second": "input_audio_hours",
    "audio_output_second": "output_audio_hours",
    "pixel": "input_gpixels",
    "page": "input_document_kpages",
    "annotated_page": "input_annotated_document_kpages",
    "rerank_search": "rerank_searches_kcount",
    "search": "web_searches_kcount",
    "web_search": "web_searches_kcount",
    "social_search": "social_searches_kcount",
    "storage_search": "storage_searches_kcount",
    "code_execution": "code_executions_kcount",
    "request": "requests_kcount",
}  # fmt: skip
# What may be left out where it costs the same as the meter that holds it: then it is priced with that one.
INSIDE_ANOTHER = ("reasoning", "citation")
_DIMENSIONS = {unit["price_key"]: frozenset(unit["dimensions"].items()) for unit in UNITS.values()}
_PER = {unit["price_key"]: unit["per"] for unit in UNITS.values()}

# What the library's request context says, as a service tier of ours. `default` is the ordinary price itself.
TIER_BY_CONTEXT = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
    ("service_tier", "default"): "standard",
}
# The library bills at least 10 seconds of these in code.
MINIMUM_SECONDS = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}


@dataclass(frozen=True, slots=True)
class Import:
    """The documents, and what could not be written as the library has it, for a person to read."""

    documents: tuple[RateDocument, ...]
    models: int
    rounded: tuple[str, ...]  # prices of more than 6 decimals a million
    unreachable: tuple[str, ...]  # names that an earlier model of the library takes first


@dataclass(frozen=True, slots=True)
class _List:
    """One price list: when, in which window of the day, for which tier, with which prices."""

    start: datetime
    end: datetime | None
    time_window: str
    service_tier: str
    prices: Mapping[str, Any]


def read_genai_prices(providers: Sequence[types.Provider] = PROVIDERS) -> Import:
    """Every provider's lists as documents."""
    by_id = {provider.id: provider for provider in providers}
    documents: list[RateDocument] = []
    unreachable: list[str] = []
    rounded: list[str] = []
    for provider in providers:
        borrowed = [by_id[name] for name in provider.fallback_model_providers or () if name in by_id]
        names = _Names(provider.id, [*provider.models, *(model for other in borrowed for model in other.models)])
        for index, model in enumerate(names.models):
            is_own = index < len(provider.models)
            lists = [
                (price_list, _write_terms(provider.id, model, price_list, rounded))
                for price_list in _list_prices(model, with_variants=is_own)
            ]
            for match, name, priority in names.list_names(index):
                documents += [
                    RateDocument(each.start, each.end, _name_terms(terms, model, match, name, priority))
                    for each, terms in lists
                ]
        unreachable += [name for index, name in names.unreachable if index < len(provider.models)]
    return Import(
        tuple(documents), sum(len(provider.models) for provider in providers),
        tuple(sorted(set(rounded))), tuple(unreachable),
    )  # fmt: skip


# --- names ---


class _Names:
    """One provider's models in the library's order, and the names that the library finds each by.

    The library takes the first model that matches, we the most specific name. So an exact name goes to the model that
    the library finds for it, a prefix behind a pattern becomes a pattern, and patterns have their place in the
    library's order as their priority.
    """

    def __init__(self, provider: str, models: Sequence[types.ModelInfo]) -> None:
        self.provider = provider
        self.models = models
        self.unreachable: list[tuple[int, str]] = []
        self._exact: dict[str, int] = {}
        self._loose: list[tuple[int, Any]] = []
        for index, model in enumerate(models):
            for clause in _spread(model.match):
                if isinstance(clause, types.ClauseEquals):
                    self._exact.setdefault(clause.equals.lower(), index)
                else:
                    self._loose.append((index, clause))
        self._taken: set[str] = set()
        self._prefixes: list[str] = []
        self._is_behind_pattern = False

    def list_names(self, index: int) -> Iterator[tuple[str, str, int]]:
        """(match, name, priority) of the model at `index`; to be asked for each index once, in order."""
        model = self.models[index]
        clauses = list(_spread(model.match))
        loose = [clause for clause in clauses if not isinstance(clause, types.ClauseEquals)]
        yield from self._list_exact(index, [c.equals.lower() for c in clauses if isinstance(c, types.ClauseEquals)])
        if not self._is_behind_pattern:
            starts = [clause.starts_with.lower() for clause in loose if isinstance(clause, types.ClauseStartsWith)]
            for name in dict.fromkeys(starts):
                if not any(name.startswith(earlier) for earlier in self._prefixes):
                    yield "prefix", name, 0
            self._prefixes += starts
            loose = [clause for clause in loose if not isinstance(clause, types.ClauseStartsWith)]
        if loose:
            self._is_behind_pattern = True
            yield "pattern", _write_pattern(loose), len(self.models) - index

    def _list_exact(self, index: int, names: Sequence[str]) -> Iterator[tuple[str, str, int]]:
        for name in dict.fromkeys([*names, self.models[index].id.lower()]):
            spelled = name_spellings(self.provider, name)[0]
            if self._find_first(name) not in (index, None):
                self.unreachable.append((index, f"{self.provider}/{name}"))
            elif spelled not in self._taken:
                self._taken.add(spelled)
                yield "exact", spelled, 0

    def _find_first(self, name: str) -> int | None:
        """The first model that the library finds by `name`."""
        exact = self._exact.get(name)
        for index, clause in self._loose:
            if exact is not None and index >= exact:
                break
            if clause.is_match(name):
                return index
        return exact


def _spread(clause: Any) -> Iterator[Any]:
    """The alternatives of a clause, each alone."""
    if isinstance(clause, types.ClauseOr):
        for each in clause.or_:
            yield from _spread(each)
    else:
        yield clause


def _write_pattern(clauses: Sequence[Any]) -> str:
    """One pattern for the whole name that matches where any of `clauses` does."""
    alternatives = list(dict.fromkeys(_write_clause(clause) for clause in clauses))
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"


def _write_clause(clause: Any) -> str:
    match clause:
        case types.ClauseStartsWith():
            return f"{re.escape(clause.starts_with.lower())}.*"
        case types.ClauseEndsWith():
            return f".*{re.escape(clause.ends_with.lower())}"
        case types.ClauseContains():
            return f".*{re.escape(clause.contains.lower())}.*"
        case types.ClauseEquals():
            return re.escape(clause.equals.lower())
        case types.ClauseRegex():
            return f".*?(?:{clause.regex}).*" if not clause.regex.startswith("^") else f"(?:{clause.regex}).*"
        case types.ClauseOr():
            return _write_pattern(clause.or_)
        case types.ClauseAnd():
            *ahead, last = [_write_clause(each) for each in clause.and_]
            return "".join(f"(?={each}$)" for each in ahead) + last
    raise TypeError(f"a clause that this import does not know: {clause!r}")


# --- when, and for which tier ---


def _list_prices(model: types.ModelInfo, *, with_variants: bool) -> Iterator[_List]:
    """The model's lists, each with its interval; a variant holds from when the library knows it."""
    conditional = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    variants = model.price_variants or [] if with_variants else []
    tiers = dict.fromkeys(["standard", *(_name_tier(variant.when) for variant in variants)])
    for tier in tiers:
        of_tier = [variant for variant in variants if _name_tier(variant.when) == tier]
        yield from _join_lists(list(_cut_lists(conditional, of_tier, tier)))


def _cut_lists(
    conditional: Sequence[types.ConditionalPrice], variants: Sequence[types.PriceVariant], tier: str
) -> Iterator[_List]:
    """One list for each stretch between two dates on which something begins, and for each window of the day."""
    dates = {
        _midnight(each.constraint.start_date)
        for each in (*conditional, *variants)
        if isinstance(each.constraint, types.StartDateConstraint)
    }
    points = [BEGINNING, *sorted(dates)]
    for start, end in zip(points, [*points[1:], None], strict=True):
        overrides: dict[str, Any] = {}
        for variant in variants:
            if _is_active(variant.constraint, start):
                for key, price in _set_prices(variant.prices).items():
                    overrides.setdefault(key, price)
        if tier != "standard" and not any(_is_active(variant.constraint, start) for variant in variants):
            continue
        for window, prices in _list_windows(conditional, start):
            yield _List(start, end, window, tier, _set_prices(prices) | overrides)


def _list_windows(conditional: Sequence[types.ConditionalPrice], start: datetime) -> Iterator[tuple[str, Any]]:
    """The last active price holds; those bound to hours of the day stand before the one that holds all day."""
    for each in reversed(conditional):
        if isinstance(each.constraint, types.TimeOfDateConstraint):
            yield f"{_minute(each.constraint.start_time)}-{_minute(each.constraint.end_time)}", each.prices
        elif _is_active(each.constraint, start):
            yield "", each.prices
            return
    yield "", conditional[0].prices


def _is_active(constraint: Any, start: datetime) -> bool:
    return constraint is None or constraint.active(start)


def _join_lists(lists: Sequence[_List]) -> list[_List]:
    """Neighbours in time with equal prices as one list."""
    joined: list[_List] = []
    for each in sorted(lists, key=lambda each: (each.time_window, each.start)):
        last = joined[-1] if joined else None
        if last and last.end == each.start and (last.time_window, last.prices) == (each.time_window, each.prices):
            joined[-1] = _List(last.start, each.end, last.time_window, last.service_tier, last.prices)
        else:
            joined.append(each)
    return joined


def _name_tier(when: Mapping[str, str]) -> str:
    """A condition of the library that is no tier of ours stands as `name=value`."""
    (condition,) = when.items()
    return TIER_BY_CONTEXT.get(condition, "=".join(condition).lower())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _minute(moment: time) -> str:
    offset = moment.utcoffset() or timedelta()
    return f"{(datetime.combine(date(2000, 1, 1), moment, None) - offset):%H:%M}"


# --- prices ---


def _set_prices(prices: types.ModelPrice) -> dict[str, Any]:
    return {key: price for key, price in prices.__dict__.items() if price is not None}


def _is_said_to_be_free(model: types.ModelInfo) -> bool:
    """Whether a list without prices means a price of zero: the library does not tell that from a price not known."""
    said = f"{model.price_comments or ''} {model.description or ''}".lower()
    return model.id.endswith(":free") or any(
        words in said for words in ("free of charge", "included in the subscription")
    )


def _write_terms(provider: str, model: types.ModelInfo, price_list: _List, rounded: list[str]) -> dict[str, Any]:
    """The content of a document, but for the name that it matches."""
    prices = {
        key: _round_price(price, f"{provider}/{model.id} {key}", rounded) for key, price in price_list.prices.items()
    }
    if not prices and _is_said_to_be_free(model):
        prices = {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}
    minimum = MINIMUM_SECONDS.get((provider, model.id))
    terms: dict[str, Any] = {
        "provider": canonical_provider(provider),
        "currency": "USD",
        "service_tier": price_list.service_tier,
        "region": "",
        "meters": _write_meters(prices, 0, minimum),
    }
    if price_list.time_window:
        terms["time_window"] = price_list.time_window
    if starts := sorted({tier.start for price in prices.values() for tier in _tiers(price)}):
        terms["context_tiers"] = [
            {"input_tokens": start, "compare": ">", "scope": "request", "meters": _write_meters(prices, start, minimum)}
            for start in starts
        ]
    return terms


def _name_terms(
    terms: Mapping[str, Any], model: types.ModelInfo, match: str, name: str, priority: int
) -> dict[str, Any]:
    source = SOURCE if name == model.id.lower() else {**SOURCE, "note": f"model {model.id}"}
    return {**terms, "model": name, "match": match, "source": source} | ({"priority": priority} if priority else {})


def _write_meters(prices: Mapping[str, Any], tier_start: int, minimum_seconds: int | None) -> dict[str, Any]:
    """Every meter that these prices reach, at the tier that begins above `tier_start`."""
    meters: dict[str, Any] = {}
    for meter, key in PRICE_KEY_BY_METER.items():
        source = _nearest_key(key, prices)
        if source is None or (source != key and meter in INSIDE_ANOTHER):
            continue
        written: dict[str, Any] = {"price": _plain(_price_at(prices[source], tier_start)), "per": _PER[source]}
        if source != key:
            written["note"] = f"no price of its own: as {source}"
        if minimum_seconds and meter in ("audio_second", "audio_input_second"):
            written["minimum_per_call"] = minimum_seconds
        meters[meter] = written
    return meters


def _nearest_key(key: str, prices: Mapping[str, Any]) -> str | None:
    """The price that the library counts a unit under: its own, else the most specific of those that hold it."""
    if key in prices:
        return key
    holding = [each for each in prices if _DIMENSIONS[each] <= _DIMENSIONS[key]]
    return max(holding, key=lambda each: len(_DIMENSIONS[each]), default=None)


def _price_at(price: Any, tier_start: int) -> Decimal:
    """The price for more than `tier_start` input tokens, up to the next tier."""
    reached = [tier.price for tier in _tiers(price) if tier.start <= tier_start and tier_start]
    return reached[-1] if reached else price.base if isinstance(price, types.TieredPrices) else price


def _tiers(price: Any) -> Sequence[Any]:
    return price.tiers if isinstance(price, types.TieredPrices) else ()


def _round_price(price: Any, name: str, rounded: list[str]) -> Any:
    """Six decimals a pricing unit, half-even: more of them is noise of the library's sources."""
    if isinstance(price, types.TieredPrices):
        tiers = [types.Tier(tier.start, _round_price(tier.price, name, rounded)) for tier in price.tiers]
        return types.TieredPrices(base=_round_price(price.base, name, rounded), tiers=tiers)
    exact = price.quantize(PRICE_DECIMALS, ROUND_HALF_EVEN)
    if exact != price:
        rounded.append(f"{name} {price} → {_plain(exact)}")
    return exact


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
