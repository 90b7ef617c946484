"""The demo's calls: simulated, a day at a time, the same for the same seed.

The spreads of tokens and the shape of a day are figures of public traces (ServeGen, Azure 2023, one team's Claude
Code), written here as constants; who used which feature, the week-end's dip and the 13th's spike are made up.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from billing.core.usage import UsageEvent, split_usage

SOURCE = "demo"
TAGS = {"demo": "simulated"}
ERROR_SHARE = 0.015
SPIKE_DAY_OF_MONTH = 13
BATCH_PRICES_FROM = date(2026, 10, 14)  # before it the imported rates have no batch tier

# ServeGen m-small, ten days: requests of each hour of the day, the mean hour being 1.
HOURS = (
    0.82, 0.67, 0.70, 0.64, 0.63, 0.68, 0.68, 0.83, 0.96, 1.12, 1.14, 1.12,
    1.10, 1.09, 1.08, 1.03, 1.04, 1.11, 1.07, 1.24, 1.47, 1.39, 1.29, 1.07,
)  # fmt: skip
NIGHT = tuple(8.0 if 1 <= hour < 4 else 0.0 for hour in range(24))
# ServeGen m-large: the least and the most of its ten days, the mean day being 1.
DAY_LEAST, DAY_MOST = 0.82, 1.31


@dataclass(frozen=True, slots=True)
class Spread:
    """Tokens of a request by their median and 95th percentile: log-normal between and beyond."""

    p50: int
    p95: int
    most: int

    def draw(self, rng: Random) -> int:
        sigma = math.log(self.p95 / self.p50) / 1.645  # the 95th percentile of the normal distribution
        return max(1, min(self.most, round(self.p50 * math.exp(sigma * rng.gauss(0, 1)))))


CHAT = Spread(1015, 4085, 14_050), Spread(115, 448, 1_000)  # Azure, conversation, 2023
SUMMARY = Spread(705, 1412, 5_000), Spread(57, 150, 500)  # ServeGen m-large
REASONING = Spread(341, 868, 4_000), Spread(586, 1442, 8_000)  # ServeGen deepseek-r1
REPORT = Spread(2749, 10747, 30_000), Spread(372, 1124, 4_000)  # ServeGen m-large, its third client
CODE = Spread(223_349, 751_565, 900_000), Spread(226, 1967, 16_000)  # one team's Claude Code
SNIPPET = Spread(1463, 7154, 7_500), Spread(13, 88, 400)  # Azure, code, 2023


@dataclass(frozen=True, slots=True)
class Workload:
    """One feature's calls on a working day. Shares are of calls; cost centre '' is unallocated."""

    feature: str
    provider: str
    model: str
    calls: int
    tokens: tuple[Spread, Spread]
    cost_centers: Mapping[str, float]
    users: int
    operation: str = "chat"
    hours: Sequence[float] = HOURS
    weekend: float = 0.4
    cached: float = 0.0  # share of the input that a warm cache answers
    written: float = 0.0
    reasoning: float = 0.0  # share of the output
    answered_from_cache: float = 0.0
    staging: float = 0.0
    spikes: bool = False
    is_batch: bool = False


WORKLOADS = {
    "acme": (
        Workload("support-chat", "openai", "gpt-5.4-2026-03-05", 150, CHAT, {"retail": 0.8, "": 0.2}, 60, cached=0.6,
                 reasoning=0.3, answered_from_cache=0.03, weekend=0.8),
        Workload("summarizer", "openai", "gpt-5.6-luna", 90, SUMMARY, {"retail": 0.5, "logistics": 0.5}, 25,
                 cached=0.5, staging=0.05),
        Workload("code-assistant", "anthropic", "claude-sonnet-4-6", 20, CODE, {"engineering": 1.0}, 14, cached=0.93,
                 written=0.05, weekend=0.15, staging=0.1, spikes=True),
        Workload("research", "google", "gemini-3.1-pro-preview", 60, REASONING, {"strategy": 0.6, "": 0.4}, 9,
                 reasoning=0.7),
        Workload("report-writer", "anthropic", "claude-sonnet-4-6", 40, REPORT, {"finance": 1.0}, 1, hours=NIGHT,
                 weekend=1.0, is_batch=True),
        Workload("doc-index", "openai", "text-embedding-3-small", 20, SNIPPET, {"logistics": 1.0}, 1,
                 operation="embeddings"),
        # Served by a machine of its own, for which nobody has published a rate: it stays unpriced.
        Workload("vision-pilot", "acme-gpu", "inhouse-vl-2", 4, SUMMARY, {"": 1.0}, 2),
    ),
    "globex": (
        Workload("contract-review", "anthropic", "claude-sonnet-4-6", 40, REPORT, {"legal": 1.0}, 8, cached=0.7,
                 written=0.1),
        Workload("help-desk", "openai", "gpt-5.4-mini-2026-03-17", 90, CHAT, {"service": 0.9, "": 0.1}, 30, cached=0.4,
                 weekend=0.6),
        Workload("forecast-notes", "google", "gemini-3.1-pro-preview", 20, REASONING, {"sales": 1.0}, 5,
                 reasoning=0.6),
    ),
}  # fmt: skip


def make_day(*, tenant: str, day: date, seed: int) -> list[UsageEvent]:
    """All calls of a tenant's UTC day, in order of time; they depend on these three alone."""
    events = [event for workload in WORKLOADS[tenant] for event in _make_calls(tenant, workload, day, seed)]
    return sorted(events, key=lambda event: (event.time, event.event_id))


def _make_calls(tenant: str, workload: Workload, day: date, seed: int) -> Iterator[UsageEvent]:
    rng = Random(f"{seed}/{tenant}/{workload.feature}/{day.isoformat()}")
    volume = workload.calls * rng.uniform(DAY_LEAST, DAY_MOST) * (workload.weekend if day.weekday() >= 5 else 1.0)
    spiking = workload.spikes and day.day == SPIKE_DAY_OF_MONTH
    number = 0
    for hour, weight in enumerate(workload.hours):
        expected = volume * weight / 24 * (6 if spiking and 12 <= hour < 18 else 1)
        for _ in range(int(expected + rng.random())):
            number += 1
            moment = datetime.combine(day, time(hour), UTC) + timedelta(microseconds=rng.randrange(3_600_000_000))
            yield _make_call(rng, workload, moment, event_id=f"{seed}-{day.isoformat()}-{workload.feature}-{number}")


def _make_call(rng: Random, workload: Workload, moment: datetime, *, event_id: str) -> UsageEvent:
    user = min(int(rng.expovariate(4 / workload.users)), workload.users - 1)  # a few use most of it
    failed = rng.random() < ERROR_SHARE
    wire = {} if failed else _draw_usage(rng, workload)
    return UsageEvent(
        event_id=event_id,
        source=SOURCE,
        time=moment,
        provider=workload.provider,
        model=workload.model,
        usage=split_usage(wire),
        operation=workload.operation,
        environment="staging" if rng.random() < workload.staging else "production",
        feature=workload.feature,
        user=f"u-{user + 1:03}" if workload.users > 1 else "",
        cost_center=rng.choices(list(workload.cost_centers), weights=list(workload.cost_centers.values()))[0],
        customer_tier=("enterprise", "pro", "free")[user % 3] if workload.users > 20 else "",
        session_id=f"{workload.feature}-{moment:%Y%m%d}-{user + 1}" if workload.cached else "",
        service_tier="batch" if workload.is_batch and moment.date() >= BATCH_PRICES_FROM else "standard",
        status="error" if failed else "ok",
        finish_reason="" if failed or workload.operation != "chat" else "stop",
        latency_ms=round((250 + 11 * wire.get("output_tokens", 0)) * math.exp(0.3 * rng.gauss(0, 1))),
        cache_hit=not failed and rng.random() < workload.answered_from_cache,
        tags=TAGS,
    )


def _draw_usage(rng: Random, workload: Workload) -> dict[str, int]:
    """One answer's usage, as on the wire."""
    input_tokens = workload.tokens[0].draw(rng)
    if workload.operation == "embeddings":
        return {"input_tokens": input_tokens}
    output_tokens = workload.tokens[1].draw(rng)
    is_warm = rng.random() < 0.85
    return {
        "input_tokens": input_tokens,
        "cache_read_tokens": int(input_tokens * workload.cached) if is_warm else 0,
        "cache_write_tokens": int(input_tokens * (workload.written if is_warm else min(workload.written * 10, 0.9))),
        "output_tokens": output_tokens,
        "reasoning_tokens": int(output_tokens * workload.reasoning),
    }
