"""Random ledger entries that every CHECK admits."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from ledger.core.entries import NewEntry
from ledger.core.rows import first_of_month

RECORDED_AT = datetime(2026, 11, 22, 5, 0, 0, 123456, tzinfo=UTC)

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", "gpt-4o", 'a"b\\c', "tab\there", "line\nbreak", "\x7f\x1f", "Zürich 💶", "\u2028"]
)
quantities = st.integers(0, 10**12)
money = st.integers(0, 10**20) | st.sampled_from([0, 1, 9999, 10**12, 10**16, 10**12 - 1])
meters = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
others = st.dictionaries(
    meters, st.integers(1, 10**12) | st.decimals(min_value="0.000001", max_value="1000000", places=6), max_size=3
)


@st.composite
def entries(draw: st.DrawFn, line: int = 0) -> NewEntry:
    text = {
        name: draw(texts)
        for name in (
            "event_source", "event_id", "response_id", "environment", "feature", "user_ref", "cost_center",
            "customer_tier", "session_id", "trace_id", "span_id", "parent_span_id", "operation", "provider",
            "model", "requested_model", "service_tier", "region", "status", "finish_reason", "prompt_hash",
        )
    }  # fmt: skip
    is_priced = draw(st.booleans())
    costs = [draw(money) if is_priced else None for _ in range(5)]
    output = draw(quantities)
    return NewEntry(
        key=draw(st.binary(min_size=16, max_size=16)),
        fingerprint=draw(st.binary(min_size=16, max_size=16)),
        line=line,
        charge_period_start=draw(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))),
        billing_period=first_of_month(RECORDED_AT),
        tags=draw(st.dictionaries(texts, texts, max_size=3)),
        latency_ms=draw(st.none() | quantities),
        cache_hit=draw(st.booleans()),
        input_tokens=draw(quantities),
        cache_read_tokens=draw(quantities),
        cache_write_tokens=draw(quantities),
        cache_write_1h_tokens=draw(quantities),
        output_tokens=output,
        reasoning_tokens=draw(st.integers(0, output)),
        other_usage=draw(others),
        pricing_status="priced" if is_priced else "unpriced",
        pricing_reason="" if is_priced else "no_rate_for_model",
        rate_version_id=draw(st.integers(1, 2**62)) if is_priced else None,
        rate_version_hash="ab" * 32 if is_priced else "",
        context_tier=draw(st.integers(0, 5)),
        input_cost=costs[0],
        cache_read_cost=costs[1],
        cache_write_cost=costs[2],
        output_cost=costs[3],
        other_cost=costs[4],
        billed_cost=sum(costs) if is_priced else None,
        list_cost=draw(money) if is_priced else None,
        saved_cost=draw(money | money.map(lambda pico: -pico)) if is_priced else None,
        reported_cost=draw(st.none() | money),
        **text,
    )


def make_plain_entry(*, key: bytes, line: int = 0) -> NewEntry:
    """A priced entry with nothing special about it; its fingerprint is its key."""
    texts_of = dict.fromkeys(
        (
            "event_source", "event_id", "response_id", "feature", "user_ref", "cost_center", "customer_tier",
            "session_id", "trace_id", "span_id", "parent_span_id", "requested_model", "region", "finish_reason",
            "prompt_hash", "pricing_reason",
        ),
        "",
    )  # fmt: skip
    return NewEntry(
        key=key, fingerprint=key, line=line, charge_period_start=RECORDED_AT,
        billing_period=first_of_month(RECORDED_AT), environment="production", tags={}, operation="chat",
        provider="openai", model="gpt-4o", service_tier="standard", status="ok", latency_ms=None, cache_hit=False,
        input_tokens=1000, cache_read_tokens=0, cache_write_tokens=0, cache_write_1h_tokens=0, output_tokens=100,
        reasoning_tokens=0, other_usage={}, pricing_status="priced", rate_version_id=1,
        rate_version_hash="ab" * 32, context_tier=0, input_cost=2_500_000_000, cache_read_cost=0,
        cache_write_cost=0, output_cost=1_000_000_000, other_cost=0, billed_cost=3_500_000_000,
        list_cost=3_500_000_000, saved_cost=0, reported_cost=None, **texts_of,
    )  # fmt: skip
