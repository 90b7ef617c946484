"""What a price list says, in words: its conditions as sentences, and by which rule a name found it. Pure.

`content` is a rate's document as docs/rates.md has it; prices are told per the unit that the meter names.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from billing.core.model_names import GATEWAYS, canonical_names

MILLION = 1_000_000
# The meters whose units are tokens: their prices are compared per million.
TOKEN_METERS = (
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "audio_input", "image_input",
    "video_input", "audio_cache_read", "image_cache_read", "video_cache_read", "audio_output", "image_output",
    "video_output",
)  # fmt: skip
MAIN_METERS = ("input", "cache_read", "cache_write", "output")
# A kind of tokens, and the meter whose price it usually has.
WHOLE_METERS = {
    "cache_write_1h": "cache_write",
    "reasoning": "output",
    **{f"{kind}_{meter}": meter for kind in ("audio", "image", "video") for meter in ("input", "cache_read", "output")},
}
_METER_WORDS = {
    "cache_read": "cache reads",
    "cache_write": "cache writes",
    "cache_write_1h": "cache writes for an hour",
    "gpu_second": "GPU seconds",
    "gb_hour": "GB hours",
}
# What genai-prices calls the price of a million tokens: its import notes by it which price a kind has.
_PRICE_FIELD = re.compile(r"\b(\w+)_mtok\b")
_RATIO_WORDS = {
    Fraction(0): "nothing",
    Fraction(1): "the same",
    Fraction(1, 2): "half",
    Fraction(2): "twice",
}


class MeterPrice(msgspec.Struct, frozen=True):
    """One meter's price: USD for `per` units, those of tokens for a million. list_price: what others pay."""

    meter: str
    price: Decimal
    list_price: Decimal
    per: int

    @property
    def words(self) -> str:
        """`0.042 per image`, `10 per 1,000 web searches`."""
        name = name_meter(self.meter)
        if self.meter in TOKEN_METERS:
            return f"{name} {write_price(self.price)}"
        return f"{write_price(self.price)} per {_name_unit(self.meter) if self.per == 1 else f'{self.per:,} {name}'}"


def list_prices(content: Mapping[str, Any]) -> dict[str, MeterPrice]:
    """Every meter's base price, in the order of the document but the tokens' first."""
    meters = content.get("meters", {})
    names = [*(name for name in TOKEN_METERS if name in meters), *(n for n in meters if n not in TOKEN_METERS)]
    return {name: _read_price(name, meters[name]) for name in names}


def _read_price(name: str, meter: Mapping[str, Any]) -> MeterPrice:
    price, per = Decimal(meter["price"]), int(meter["per"])
    listed = Decimal(meter.get("list_price", meter["price"]))
    if name in TOKEN_METERS and per != MILLION:
        return MeterPrice(name, price * MILLION / per, listed * MILLION / per, MILLION)
    return MeterPrice(name, price, listed, per)


def list_own_prices(content: Mapping[str, Any]) -> dict[str, MeterPrice]:
    """The same without kinds of tokens that cost what contains them: audio input at the price of input."""
    prices = list_prices(content)
    contained = _find_contained(prices)
    return {name: price for name, price in prices.items() if name not in contained}


def _find_contained(prices: Mapping[str, MeterPrice]) -> list[str]:
    """The kinds of tokens that cost, and are listed at, what contains them."""
    wholes = {name: prices.get(WHOLE_METERS.get(name, "")) for name in prices}
    return [
        name
        for name, whole in wholes.items()
        if whole and (whole.price, whole.list_price) == (prices[name].price, prices[name].list_price)
    ]


def estimate_cost(quantities: Mapping[str, int], content: Mapping[str, Any]) -> Decimal | None:
    """What tokens would cost at the base prices, by meter; None where one that was used has no price."""
    prices = list_prices(content)
    if any(quantity and meter not in prices for meter, quantity in quantities.items()):
        return None
    cost = sum(
        (quantity * prices[meter].price / prices[meter].per for meter, quantity in quantities.items() if quantity),
        Decimal(0),
    )
    return cost.quantize(Decimal("1e-12"))


# --- conditions ---


def describe_conditions(content: Mapping[str, Any]) -> list[str]:
    """Everything that decides whether and how the list applies, beside its base prices: one sentence each."""
    return [sentence[0].upper() + sentence[1:] for sentence in _list_conditions(content)]


def describe_settlements(content: Mapping[str, Any]) -> list[str]:
    """What is booked or charged beside its calls: tiers on a month's quantity, a fee a day, a least amount a month."""
    said = [
        f"{name_meter(name)}: {_describe_quantity_tier(tier, int(meter['per']))}"
        for name, meter in content.get("meters", {}).items()
        for tier in meter.get("quantity_tiers", ())
    ]
    said += _describe_fees(content)
    return [sentence[0].upper() + sentence[1:] for sentence in said]


def _describe_fees(content: Mapping[str, Any]) -> Iterator[str]:
    if fee := content.get("daily_fee"):
        yield f"{write_price(Decimal(fee))} USD a day, used or not"
    if minimum := content.get("minimum"):
        yield f"at least {write_price(Decimal(minimum['amount']))} USD a {minimum['period']}, charged at its end"


def _list_conditions(content: Mapping[str, Any]) -> Iterator[str]:
    if content.get("price_from") == "reported_cost":
        yield "a call costs what the provider reports with it"
    if content.get("match") == "prefix":
        yield f"for every model whose name begins with {content['model']}"
    if content.get("match") == "pattern":
        yield f"for every model whose whole name fits the pattern {content['model']}"
    if content.get("service_tier", "standard") != "standard":
        yield f"only for calls of the service tier {content['service_tier']}"
    if content.get("region"):
        yield f"only for calls in the region {content['region']}"
    if content.get("time_window"):
        yield _describe_window(content["time_window"])
    if content.get("tenant"):
        yield f"agreed for the tenant {content['tenant']} alone"
    yield from describe_context_tiers(content)
    contained = _find_contained(list_prices(content))
    for name, meter in content.get("meters", {}).items():
        plain = {key: meter[key] for key in meter if key not in ("note", "list_price")}
        yield from _describe_meter(name, plain if name in contained else meter)
    if contained:
        cost = "costs what contains it" if len(contained) == 1 else "cost what contains them"
        yield f"{_join([name_meter(name) for name in contained])} {cost}"
    yield from _describe_fees(content)


def _describe_window(window: str) -> str:
    start, end = window.split("-")
    return f"only from {start} to {end} UTC{', past midnight' if end < start else ''}"


def describe_context_tiers(content: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each context tier: “above 272,000 input tokens the whole request costs twice”."""
    below = dict(content.get("meters", {}))
    for tier in content.get("context_tiers", ()):
        count = f"{tier['input_tokens']:,}"
        where = f"above {count} input tokens" if tier["compare"] == ">" else f"from {count} input tokens on"
        changes = _leave_out_contained(_compare_prices(below, tier["meters"]))
        if tier["scope"] == "marginal":
            yield f"what is above {count} of a meter, counted on it alone, costs {_say_changes(changes, below, '')}"
        else:
            yield f"{where} the whole request costs {_say_changes(changes, below, 'for ')}"
        below |= tier["meters"]


def _compare_prices(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Fraction | None]:
    """Each meter's price above by that below; None where there is none below, or it is nothing."""
    ratios: dict[str, Fraction | None] = {}
    for name, meter in above.items():
        before = below.get(name)
        price = Fraction(before["price"]) / before["per"] if before else Fraction(0)
        ratios[name] = Fraction(meter["price"]) / meter["per"] / price if price else None
    return ratios


def _leave_out_contained(ratios: Mapping[str, Fraction | None]) -> dict[str, Fraction | None]:
    """Without kinds of tokens that change as what contains them, and without other meters that do not change."""
    names = sorted(ratios, key=lambda name: TOKEN_METERS.index(name) if name in TOKEN_METERS else len(TOKEN_METERS))
    return {
        name: ratios[name]
        for name in names
        if (name not in WHOLE_METERS or ratios.get(WHOLE_METERS[name], Fraction(-1)) != ratios[name])
        and (name in TOKEN_METERS or ratios[name] != 1)
    }


def _say_changes(changes: Mapping[str, Fraction | None], below: Mapping[str, Any], introduction: str) -> str:
    """“twice”, or “twice for input and cache reads, and 1.5 times for output”."""
    by_ratio: dict[Fraction | None, list[str]] = {}
    for name, ratio in changes.items():
        by_ratio.setdefault(ratio, []).append(name)
    untouched = [
        name for name in below if name in TOKEN_METERS and not {name, WHOLE_METERS.get(name, name)} & changes.keys()
    ]
    if len(by_ratio) == 1 and not untouched:
        return _say_ratio(next(iter(by_ratio)))
    said = [
        f"{_say_ratio(ratio)} {introduction or 'for '}{_join([name_meter(name) for name in names])}"
        for ratio, names in by_ratio.items()
    ]
    if untouched:
        said.append(f"the same for {_join([name_meter(name) for name in untouched])}")
    return ", and ".join([", ".join(said[:-1]), said[-1]] if said[:-1] else said)


def _say_ratio(ratio: Fraction | None) -> str:
    if ratio is None:
        return "a price of its own"
    if ratio in _RATIO_WORDS:
        return _RATIO_WORDS[ratio]
    hundredths = ratio * 100
    number = _write_rounded(ratio, Decimal("0.01"))
    return f"{number} times" if hundredths.denominator == 1 else f"about {number} times"


def _write_rounded(ratio: Fraction, step: Decimal) -> str:
    """Without the zeros that say nothing."""
    text = f"{(Decimal(ratio.numerator) / ratio.denominator).quantize(step):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _describe_meter(name: str, meter: Mapping[str, Any]) -> Iterator[str]:
    words, per = name_meter(name), int(meter["per"])
    for tier in meter.get("quantity_tiers", ()):
        yield f"{words}: {_describe_quantity_tier(tier, per)}"
    if least := meter.get("minimum_per_call"):
        yield f"{words}: one call is charged at least {least:,}, once it used any"
    if meter.get("list_price", meter["price"]) != meter["price"]:
        yield f"{words}: contracted at {_say_discount(meter)} the list price of {_write_listed(name, meter)}"
    if meter.get("note"):
        yield f"{words}: {_PRICE_FIELD.sub(lambda field: name_meter(field[1]), meter['note'])}"


def _describe_quantity_tier(tier: Mapping[str, Any], per: int) -> str:
    above = f"{Decimal(tier['above']):,f}"
    price = f"{write_price(Decimal(tier['price']))} USD"
    size = tier.get("size")
    if tier["scope"] == "volume":
        cost = f"{price} for each {size:,} begun" if size else f"{price} per {per:,}"
        said = f"a month of more than {above} costs {cost}, all of it"
    elif size:
        said = f"above {above} in a month, packages of {size:,} at {price} each, begun ones whole"
    else:
        said = f"what is above {above} in a month costs {price} per {per:,}"
    return said + (f", and {write_price(Decimal(tier['flat']))} USD once it is entered" if tier.get("flat") else "")


def _say_discount(meter: Mapping[str, Any]) -> str:
    listed = Fraction(meter["list_price"])
    if not listed:
        return "more than"
    percent = (Fraction(meter["price"]) / listed - 1) * 100
    number = _write_rounded(abs(percent), Decimal("0.1"))
    return f"{number}\N{NARROW NO-BREAK SPACE}% {'below' if percent < 0 else 'above'}"


def _write_listed(name: str, meter: Mapping[str, Any]) -> str:
    listed = _read_price(name, meter)
    return f"{write_price(listed.list_price)} per {listed.per:,}"


def _join(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[:-1] else names)


def name_meter(meter: str) -> str:
    """A meter as it stands in a sentence: `cache reads`, `web searches`, `images`; token meters by their own names."""
    if meter in _METER_WORDS:
        return _METER_WORDS[meter]
    words = meter.replace("_", " ")
    if meter in TOKEN_METERS or words.endswith("s"):
        return words
    return f"{words}es" if words.endswith(("ch", "sh", "x")) else f"{words}s"


def _name_unit(meter: str) -> str:
    return meter.replace("_", " ").replace("gpu", "GPU").replace("gb ", "GB ")


def write_price(price: Decimal) -> str:
    """Every digit, no exponent, two decimals at least below a hundred: 0.20, 3.375, 0.000004.

    >>> write_price(Decimal("3.3750")), write_price(Decimal("12")), write_price(Decimal("0.2"))
    ('3.375', '12.00', '0.20')
    """
    plain = price.normalize()
    exponent = plain.as_tuple().exponent
    decimals = max(2, -exponent if isinstance(exponent, int) else 2)
    return f"{price:,.{decimals}f}"


# --- which name found it ---


def tell_rule(provider: str, model: str, *, alias: tuple[str, str] | None, match: str, name: str) -> str:
    """Why a raw pair of strings is priced by a list whose `match` and `name` these are, in words.

    alias: what the deployment's own table makes of the pair, None where it says nothing.
    """
    steps = []
    if alias:
        steps.append(f"an alias: means {alias[0]} {alias[1]}")
        provider, model = alias
    canonical, spellings = canonical_names(provider, model)
    said = provider.strip().lower()
    if said in GATEWAYS and canonical != said:
        steps.append(f"{canonical} by the first part of its name")
    elif canonical != said:
        steps.append(f"{provider} is {canonical}")
    if match == "prefix":
        steps.append(f"begins with {name}")
    elif match == "pattern":
        steps.append(f"fits the pattern {name}")
    elif name == model.strip().lower():
        steps.append("" if alias else "its very name")
    elif name == spellings[0]:
        steps.append("its name without the envelope")
    else:
        steps.append("its date written with dashes")
    return ", ".join(step for step in steps if step)
