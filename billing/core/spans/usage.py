"""What a span says was used, in the wire's inclusive words (see `billing.core.usage`).

OpenTelemetry wants input to include what was read from and written to a cache, and output to include reasoning. Not
every instrumentation does so: Anthropic and Bedrock count caches beside the input, Gemini counts thoughts beside the
answer, and some pass on what they were given. What the figures themselves prove is taken, and nothing is clamped:

    total = input + output                      they are inside
    total = input + caches + output             they are beside
    no total, and the part exceeds its whole    they are beside
    no total otherwise                          they are inside, as the conventions want
"""

from decimal import Decimal
from typing import NamedTuple

from billing.core.spans import names
from billing.core.spans.saying import AttributeValue, Said
from billing.core.usage import QUANTITY_MAX, UsageInconsistent

COUNTS = (
    "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens",
)  # fmt: skip
HIDES_THOUGHTS = frozenset({"google"})  # counted in the total alone by instrumentations that know no thoughts


class SpanUsage(NamedTuple):
    """Inclusive quantities by wire name, none of them 0; `beside`: what the span counted apart from its whole."""

    wire: dict[str, int | Decimal]
    beside: tuple[str, ...]
    is_said: bool  # the span counts tokens, be it none
    knows_caches: bool
    knows_hours: bool  # how long what it wrote to a cache is kept


def read_usage(said: Said, *, provider: str) -> SpanUsage:
    """Raises UsageInconsistent for a value that cannot be, its attribute named."""
    said_input, said_output, total, said_read, said_write, write_1h, said_reasoning = [
        read_count(said, slot) if slot in said.values else None for slot in COUNTS
    ]
    cache_write = max(said_write or 0, write_1h or 0)  # one may say the hour alone
    reasoning = said_reasoning or 0
    inputs, outputs, cache_read = said_input or 0, said_output or 0, said_read or 0
    if said_input is None and said_output is None and total is not None:
        inputs = total  # all that is known of an embedding, or of a call that only says its sum
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
    if not said.values.keys().isdisjoint(names.MODALITY_TOKENS):
        wire |= {name: read_count(said, name) or 0 for name in names.MODALITY_TOKENS if name in said.values}
    if said.meters:
        wire |= {name: _read_meter(name, value) for name, value in said.meters.items()}
    return SpanUsage(
        {name: quantity for name, quantity in wire.items() if quantity},
        tuple(beside),
        said_input is not None or said_output is not None or total is not None or bool(said.meters) or caches > 0,
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


def read_count(said: Said, slot: str) -> int | None:
    """The whole number in a slot; None without one."""
    value = said.values.get(slot)
    if value is None or (value.__class__ is int and 0 <= value <= QUANTITY_MAX):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise UsageInconsistent(f"{said.name(slot)} is {_describe(value)}: expected a whole number")
    if not 0 <= value <= QUANTITY_MAX:
        raise UsageInconsistent(f"{said.name(slot)} is {value}: expected 0 to {QUANTITY_MAX:,}")
    return value


def _read_meter(name: str, value: AttributeValue) -> int | Decimal:
    """`tokenledger.usage.images: 2` and the like: any meter of an event, by its own name."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageInconsistent(f"{names.OWN_USAGE}{name} is {_describe(value)}: expected a number")
    if not 0 <= value <= QUANTITY_MAX:
        raise UsageInconsistent(f"{names.OWN_USAGE}{name} is {value}: expected 0 to {QUANTITY_MAX:,}")
    quantity = Decimal(str(value))
    return int(quantity) if quantity == int(quantity) else quantity


def _describe(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"{value}"
    return "text" if isinstance(value, str) else "a list"
