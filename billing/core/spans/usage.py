"""What a span says was used, in the wire's inclusive words (see `billing.core.usage`).

OpenTelemetry wants input to include what was read from and written to a cache, and output to include reasoning. Not
every instrumentation does so: Anthropic and Bedrock count caches beside the input, Gemini counts thoughts beside the
answer, and some pass on what they were given. What the figures themselves prove is taken, and nothing is clamped:

    total = input + output                      they are inside
    total = input + caches + output             they are beside
    no total, and the part exceeds its whole    they are beside
    no total otherwise                          they are inside, as the conventions want
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from billing.core.spans import names
from billing.core.usage import QUANTITY_MAX, UsageInconsistent

AttributeValue = str | bool | int | float | bytes | None | list["AttributeValue"]
Attributes = Mapping[str, AttributeValue]

HIDES_THOUGHTS = frozenset({"google"})  # counted in the total alone by instrumentations that know no thoughts


class SpanUsage(NamedTuple):
    """Inclusive quantities by wire name, none of them 0; `beside`: what the span counted apart from its whole."""

    wire: dict[str, int | Decimal]
    beside: tuple[str, ...]
    is_said: bool  # the span counts tokens, be it none
    knows_caches: bool
    knows_hours: bool  # how long what it wrote to a cache is kept


def read_usage(attributes: Attributes, *, provider: str) -> SpanUsage:
    """Raises UsageInconsistent for a value that cannot be, its attribute named."""
    said_input = read_count(attributes, names.INPUT_TOKENS)
    said_output = read_count(attributes, names.OUTPUT_TOKENS)
    total = read_count(attributes, names.TOTAL_TOKENS)
    said_read = read_count(attributes, names.CACHE_READ_TOKENS)
    cache_write = read_count(attributes, names.CACHE_WRITE_TOKENS) or 0
    write_1h = read_count(attributes, names.CACHE_WRITE_1H_TOKENS)
    reasoning = read_count(attributes, names.REASONING_TOKENS) or 0
    inputs, outputs, cache_read = said_input or 0, said_output or 0, said_read or 0
    if said_input is None and said_output is None and total is not None:
        inputs = total  # all that is known of an embedding, or of a call that only says its sum
    cache_write = max(cache_write, write_1h or 0)  # one that says the hour alone
    caches = cache_read + cache_write
    beside = []
    if caches and _is_beside(caches, inputs, total, known=inputs + outputs, other=reasoning):
        inputs += caches
        beside.append("caches")
    if reasoning and _is_beside(reasoning, outputs, total, known=inputs + outputs, other=0):
        outputs += reasoning
        beside.append("reasoning")
    elif provider in HIDES_THOUGHTS and total is not None and said_output is not None and total > inputs + outputs:
        hidden = total - inputs - outputs
        outputs, reasoning = outputs + hidden, reasoning + hidden
        beside.append("reasoning")
    wire: dict[str, int | Decimal] = {
        "input_tokens": inputs,
        "cache_read_tokens": cache_read,
        "cache_write_tokens": cache_write - (write_1h or 0),
        "cache_write_1h_tokens": write_1h or 0,
        "output_tokens": outputs,
        "reasoning_tokens": reasoning,
    }
    for name, spellings in names.MODALITY_TOKENS.items():
        if quantity := read_count(attributes, spellings):
            wire[name] = quantity
    wire |= _read_own_meters(attributes)
    is_said = said_input is not None or said_output is not None or total is not None
    return SpanUsage(
        {name: quantity for name, quantity in wire.items() if quantity},
        tuple(beside),
        is_said or any(wire.values()),
        said_read is not None,
        write_1h is not None,
    )


def _is_beside(part: int, whole: int, total: int | None, *, known: int, other: int) -> bool:
    """Whether `part` is counted beside its whole. other: what may stand beside as well."""
    if total is not None and total in (known + part, known + part + other):
        return True
    if total is not None and total == known:
        return False
    return part > whole


def read_count(attributes: Attributes, spellings: tuple[str, ...]) -> int | None:
    """The whole number under the first of `spellings` that is there; None without one."""
    for name in spellings:
        value = attributes.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise UsageInconsistent(f"{name} is {_describe(value)}: expected a whole number")
        if not 0 <= value <= QUANTITY_MAX:
            raise UsageInconsistent(f"{name} is {value}: expected 0 to {QUANTITY_MAX:,}")
        return value
    return None


def _read_own_meters(attributes: Attributes) -> dict[str, int | Decimal]:
    """`tokenledger.usage.images: 2` and the like: any meter of an event, by its own name."""
    meters: dict[str, int | Decimal] = {}
    for name, value in attributes.items():
        if not name.startswith(names.OWN_USAGE):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageInconsistent(f"{name} is {_describe(value)}: expected a number")
        if isinstance(value, float) and not (0 <= value <= QUANTITY_MAX):
            raise UsageInconsistent(f"{name} is {value}: expected 0 to {QUANTITY_MAX:,}")
        quantity = value if isinstance(value, int) else Decimal(str(value))
        meters[name.removeprefix(names.OWN_USAGE)] = int(quantity) if quantity == int(quantity) else quantity
    return meters


def _describe(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"{value}"
    return "text" if isinstance(value, str) else "a list"
