"""Why an entry costs what it costs: recomputed from its rate version's document, line by line.

This is the second arithmetic on purpose. It reads the document itself, in fractions, and shares no multiplication with
the engine that booked the entry; so a difference of zero says something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.core.rate_documents import METER_BY_USAGE, hash_content
from billing.models import RateVersion
from ledger.core.entries import PICO

COSTS = ("input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
         "saved_cost")  # fmt: skip
NOT_A_CALL = ("fee", "credit", "adjustment", "admin_act")  # what no price list multiplies
ROUNDING = "each meter half-even at 12 decimals"
FORMULA = "quantity × price / per"

_COST_BY_USAGE = {
    "input_tokens": "input_cost",
    "cache_read_tokens": "cache_read_cost",
    "cache_write_tokens": "cache_write_cost",
    "cache_write_1h_tokens": "cache_write_cost",
    "output_tokens": "output_cost",
    "reasoning_tokens": "output_cost",
}
# Every modality's tokens count towards a context tier: they are all in the window.
_INPUT_USAGE = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_input_tokens",
    "image_input_tokens", "video_input_tokens", "audio_cache_read_tokens", "image_cache_read_tokens",
    "video_cache_read_tokens",
)  # fmt: skip
_METER_WITHOUT_CACHE = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "input",
    "audio_cache_read": "audio_input",
    "image_cache_read": "image_input",
    "video_cache_read": "video_input",
}

_REASONS = {
    "no_rate_for_model": "No published rate matches this provider and model.",
    "no_rate_at_time": "Rates match this model, but none was in force at the time of the call.",
    "no_rate_for_service_tier": "The model has rates, but none for the service tier {detail}.",
    "no_rate_for_region": "The model has rates, but none for the region {detail}.",
    "no_price_for_meter": "The model's rate has no price for {detail}.",
    "no_reported_cost": "The rate takes the provider's own figure, and the event brought none.",
    "cost_too_large": "The cost is above 100 million USD: more likely a slip in a price.",
    "failed_without_usage": "The call failed and used nothing, so it costs nothing.",
}


@dataclass(frozen=True, slots=True)
class ExplanationLine:
    """One meter's cost: `quantity` × `price` / `per`, in USD. `is_exact`: nothing was rounded."""

    usage: str
    meter: str
    quantity: Decimal
    price: Decimal
    list_price: Decimal
    per: int
    cost: Decimal
    list_cost: Decimal
    column: str  # the entry's cost that this is part of
    formula: str
    is_exact: bool
    note: str
    tier: int = 0  # of a marginal list: the tier of this part


@dataclass(frozen=True, slots=True)
class RateSummary:
    """The rate version behind an entry, in words; `is_intact`: its document still has the hash of its publication."""

    id: int
    name: str  # openai gpt-4o
    match: str
    conditions: str  # standard, 00:30-16:30 UTC; '' never
    effective_from: datetime | None  # None where the version was replaced whole
    effective_to: datetime | None
    state: str
    origin: str
    source: Mapping[str, str]  # name, url, read_on, note
    created_by: str
    approved_by: str
    published_at: datetime | None
    content_hash: str
    is_intact: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """An entry's costs, recomputed. `stored`, `total` and `difference` are its `billed_cost`; None where unpriced.

    `recomputed` and `differences` hold every cost by its column. `tier` says which context tier applied and why.
    """

    status: str
    reason: str
    lines: tuple[ExplanationLine, ...]
    total: Decimal | None
    stored: Decimal | None
    difference: Decimal | None
    recomputed: Mapping[str, Decimal]
    differences: Mapping[str, Decimal]
    context_tier: int
    tier: str
    formula: str
    rounding: str
    rate: RateSummary | None

    @property
    def agrees(self) -> bool:
        """Whether every stored cost is what its rate says, to the last digit."""
        return not any(self.differences.values()) and (self.rate is None or self.rate.is_intact)


def explain_entry(*, entry: Mapping[str, Any]) -> Explanation:
    """Recompute `entry`, a row of the ledger by column name, from the document of its rate version."""
    version = RateVersion.objects.filter(id=entry["rate_version_id"]).first() if entry["rate_version_id"] else None
    if version is None or entry.get("kind") in NOT_A_CALL:
        return _explain_without_rate(entry, rate=summarise_rate(version) if version else None)
    if entry.get("calls", 1) < 0:
        return _turn_around(explain_entry(entry=_take_back(entry)))
    meters, tier, words = _choose_list(entry, version.document)
    lines = _list_lines(entry, version.document, meters)
    tier = max([tier, *(line.tier for line in lines)])
    recomputed = _add_up(entry, lines, meters)
    differences = {name: (entry[name] or Decimal(0)) - recomputed[name] for name in COSTS}
    return Explanation(
        status=entry["pricing_status"],
        reason=explain_reason(entry["pricing_reason"]),
        lines=tuple(lines),
        total=recomputed["billed_cost"],
        stored=entry["billed_cost"],
        difference=differences["billed_cost"],
        recomputed=recomputed,
        differences=differences,
        context_tier=tier,
        tier=words,
        formula=FORMULA,
        rounding=ROUNDING,
        rate=summarise_rate(version),
    )


def explain_reason(code: str) -> str:
    """A pricing reason as a sentence; '' for none."""
    name, _, detail = code.partition(":")
    return _REASONS[name].format(detail=detail) if name in _REASONS else code.replace("_", " ")


def summarise_rate(version: RateVersion) -> RateSummary:
    """What a person asks of a rate: whose, when, from where, and whether it is still what was published."""
    content = version.document
    conditions = [
        version.service_tier,
        version.region and f"region {version.region}",
        version.time_window and f"{version.time_window} UTC",
        content.get("tenant") and f"tenant {content['tenant']}",
    ]
    return RateSummary(
        id=version.id,
        name=f"{version.provider} {version.model}",
        match=version.match,
        conditions=", ".join(part for part in conditions if part),
        effective_from=version.effective.lower,
        effective_to=version.effective.upper,
        state=version.state,
        origin=version.origin,
        source=content.get("source", {}),
        created_by=version.created_by,
        approved_by=version.approved_by,
        published_at=version.published_at,
        content_hash=bytes(version.content_hash).hex(),
        is_intact=hash_content(content) == bytes(version.content_hash),
    )


def _take_back(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry that a reversal takes back: what is explained is its price."""
    names = ("calls", *COSTS, "reported_cost", *_COST_BY_USAGE)
    quantities = {name: -quantity for name, quantity in entry["other_usage"].items()}
    return {**entry, "other_usage": quantities} | {
        name: None if entry[name] is None else -entry[name] for name in names
    }


def _turn_around(explanation: Explanation) -> Explanation:
    """The explanation of a reversal: each line of what it takes back, with the sign turned."""
    lines = tuple(
        replace(line, quantity=-line.quantity, cost=-line.cost, list_cost=-line.list_cost, formula=f"−({line.formula})")
        for line in explanation.lines
    )
    figures = {
        name: None if value is None else -value
        for name in ("total", "stored", "difference")
        for value in (getattr(explanation, name),)
    }
    return replace(
        explanation,
        lines=lines,
        recomputed={name: -cost for name, cost in explanation.recomputed.items()},
        differences={name: -cost for name, cost in explanation.differences.items()},
        **figures,
    )


def _explain_without_rate(entry: Mapping[str, Any], *, rate: RateSummary | None = None) -> Explanation:
    """An unpriced call, one that failed and used nothing, or an entry that is not a call: nothing is recomputed there.

    A stored cost that names no rate is a difference.
    """
    stored = entry["billed_cost"]
    is_call = entry["kind"] == "usage" and stored is not None
    return Explanation(
        status=entry["pricing_status"],
        reason=explain_reason(entry["pricing_reason"]),
        lines=(),
        total=Decimal(0) if is_call else stored,
        stored=stored,
        difference=stored if is_call or stored is None else Decimal(0),
        recomputed=dict.fromkeys(COSTS, Decimal(0)) if is_call else {},
        differences={name: entry[name] for name in COSTS} if is_call else {},
        context_tier=0,
        tier="",
        formula=FORMULA,
        rounding=ROUNDING,
        rate=rate,
    )


# --- the arithmetic ---


def list_price_lines(*, entry: Mapping[str, Any], content: Mapping[str, Any]) -> list[ExplanationLine]:
    """What a call was charged, part by part, by a price list's content; `entry` has its quantities, and no reversal."""
    meters, _, _ = _choose_list(entry, content)
    return _list_lines(entry, content, meters)


def _choose_list(entry: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[dict[str, Mapping[str, Any]], int, str]:
    """The meters of the context tier that the whole request reached, its number, and why in words."""
    meters = dict(content.get("meters", {}))
    tiers = content.get("context_tiers", [])
    if not tiers or _is_in_parts(content):
        return meters, 0, "each part of a meter at the price of its own tier" if tiers else ""
    prompt = sum(_quantity(entry, name) for name in _INPUT_USAGE)
    reached = 0
    for number, tier in enumerate(tiers, 1):
        if prompt > tier["input_tokens"] or (tier["compare"] == ">=" and prompt == tier["input_tokens"]):
            reached, meters = number, meters | tier["meters"]
    if not reached:
        words = f"base prices: {prompt:,} input tokens are not {tiers[0]['compare']} {tiers[0]['input_tokens']:,}"
    else:
        tier = tiers[reached - 1]
        words = f"tier {reached}: {prompt:,} input tokens are {tier['compare']} {tier['input_tokens']:,}"
    return meters, reached, words


# Of a row whose list was changed behind it: what was booked for this meter is then a difference.
_NO_PRICE = {"price": "0", "per": 1, "note": "the price list has no price for this"}


def _list_lines(
    entry: Mapping[str, Any], content: Mapping[str, Any], meters: Mapping[str, Mapping[str, Any]]
) -> list[ExplanationLine]:
    if content.get("price_from") == "reported_cost":
        return [_explain_report(entry)]
    charged = _list_charged(entry, content)
    if _is_in_parts(content):
        return [line for usage, quantity in charged for line in _explain_parts(usage, quantity, content)]
    return [
        _explain_line(usage, quantity, meters.get(METER_BY_USAGE.get(usage, usage), _NO_PRICE))
        for usage, quantity in charged
    ]


def _is_in_parts(content: Mapping[str, Any]) -> bool:
    return any(tier["scope"] == "marginal" for tier in content.get("context_tiers", ()))


def _list_charged(entry: Mapping[str, Any], content: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
    """What was charged, by usage name: reasoning apart where it has its own price, the call where it has a fee."""
    meters = content["meters"]
    own_reasoning = _quantity(entry, "reasoning_tokens") if "reasoning" in meters else Decimal(0)
    charged = {name: _quantity(entry, name) for name in _COST_BY_USAGE}
    charged["output_tokens"] -= own_reasoning
    charged["reasoning_tokens"] = own_reasoning
    charged |= {name: _quantity(entry, name) for name in sorted(entry["other_usage"])}
    used_nothing = not any(charged.values())
    if "request" in meters and "requests" not in charged and not (used_nothing and entry["status"] == "error"):
        charged["requests"] = Decimal(1)
    return [(name, quantity) for name, quantity in charged.items() if quantity]


def _quantity(entry: Mapping[str, Any], usage: str) -> Decimal:
    value = entry[usage] if usage in _COST_BY_USAGE else entry["other_usage"].get(usage, 0)
    return Decimal(str(value))


def _explain_line(usage: str, quantity: Decimal, meter: Mapping[str, Any], *, tier: int = 0) -> ExplanationLine:
    least = meter.get("minimum_per_call", 0)
    notes = [
        f"tier {tier}" if tier else "",
        meter.get("note", ""),
        f"at least {least} a call" if quantity < least else "",
    ]
    charged = max(quantity, Decimal(least))
    price, per = Decimal(meter["price"]), meter["per"]
    list_price = Decimal(meter.get("list_price", meter["price"]))
    cost = Fraction(charged) * Fraction(price) / per
    return ExplanationLine(
        usage=usage,
        meter=METER_BY_USAGE.get(usage, usage),
        quantity=charged,
        price=price,
        list_price=list_price,
        per=per,
        cost=_round(cost),
        list_cost=_round(Fraction(charged) * Fraction(list_price) / per),
        column=_COST_BY_USAGE.get(usage, "other_cost"),
        formula=f"{charged:,} × {price} / {per:,}",
        is_exact=(cost * PICO).denominator == 1,
        note="; ".join(part for part in notes if part),
        tier=tier,
    )


def _explain_parts(usage: str, quantity: Decimal, content: Mapping[str, Any]) -> list[ExplanationLine]:
    """A meter's parts, each at its tier's price; together they are rounded once."""
    name = METER_BY_USAGE.get(usage, usage)
    tiers = content["context_tiers"]
    starts = [0, *(tier["input_tokens"] for tier in tiers)]
    lines: list[ExplanationLine] = []
    meter = content["meters"].get(name, _NO_PRICE)
    exact, listed = Fraction(0), Fraction(0)
    for number, start in enumerate(starts):
        if number:
            meter = tiers[number - 1]["meters"].get(name, meter)
        end = starts[number + 1] if number + 1 < len(starts) else quantity
        part = min(quantity, Decimal(end)) - start
        if part <= 0:
            break
        line = _explain_line(usage, part, meter, tier=number)
        before, listed_before = _round(exact), _round(listed)
        exact += Fraction(part) * Fraction(line.price) / line.per
        listed += Fraction(part) * Fraction(line.list_price) / line.per
        lines.append(replace(line, cost=_round(exact) - before, list_cost=_round(listed) - listed_before))
    return lines


def _explain_report(entry: Mapping[str, Any]) -> ExplanationLine:
    """The provider's own figure, taken as the price."""
    reported = Decimal(0) if entry["cache_hit"] else (entry["reported_cost"] or Decimal(0))
    return ExplanationLine(
        usage="reported_cost", meter="reported_cost", quantity=Decimal(1), price=reported, list_price=reported, per=1,
        cost=reported, list_cost=reported, column="other_cost", formula="as the provider reported it", is_exact=True,
        note="",
    )  # fmt: skip


def _add_up(
    entry: Mapping[str, Any], lines: Sequence[ExplanationLine], meters: Mapping[str, Mapping[str, Any]]
) -> dict[str, Decimal]:
    """Every cost of the entry from its lines."""
    costs = dict.fromkeys(COSTS, Decimal(0))
    if not entry["cache_hit"]:
        for line in lines:
            costs[line.column] += line.cost
            costs["billed_cost"] += line.cost
            costs["list_cost"] += line.list_cost
    costs["saved_cost"] = sum((_cost_without_cache(line, meters) for line in lines), -costs["billed_cost"])
    return costs


def _cost_without_cache(line: ExplanationLine, meters: Mapping[str, Mapping[str, Any]]) -> Decimal:
    """What a cached token would have cost as an ordinary one."""
    full = meters.get(_METER_WITHOUT_CACHE.get(line.meter, ""))
    return line.cost if full is None else _round(Fraction(line.quantity) * Fraction(full["price"]) / full["per"])


def _round(cost: Fraction) -> Decimal:
    """Half-even at 12 decimals."""
    return Decimal(round(cost * PICO)).scaleb(-12)
