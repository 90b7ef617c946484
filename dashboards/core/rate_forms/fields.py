"""The fields of a rate's form: filled from a rate, and read as a browser sent them.

A *rate* here is one of a file's (docs/rates.md), with its interval; the form's texts are as they were typed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from billing.core.rate_documents import parse_time
from billing.core.rate_words import TOKEN_METERS, list_own_prices, list_prices

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
ROW_TEXTS = ("meter", "price", "list_price", "per")
STEP_TEXTS = ("meter", "above", "scope", "price", "size", "flat")
TIER_TEXTS = ("above", "compare", "scope")
TIERS_SHOWN_MAX = 20
DOCUMENT_LENGTH_MAX = 256_000


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
