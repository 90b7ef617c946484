"""One day's calls of a tenant of the demo, on the tenant's own clock."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from billing.core.demo.shapes import DAY_LEAST, DAY_MOST, RANK_EXPONENT
from billing.core.demo.workloads import TENANTS, Workload
from billing.core.usage import Usage, UsageEvent, split_usage

SOURCE = "demo"
TAGS = {"demo": "simulated"}
LATE_TAGS = TAGS | {"delivery": "late"}  # of calls that were reported days after they were made
ERROR_SHARE = 0.015
SPIKE_HOURS, SPIKE_TIMES, SPIKE_USER = range(12, 18), 5, "u-007"
BATCH_PRICES_FROM = date(2026, 10, 14)  # before it the imported rates have no batch tier
NOTHING_USED = Usage()


def make_day(*, tenant: str, day: date, seed: int, last_day: date) -> list[UsageEvent]:
    """All calls of a tenant's own day, in order of time; they depend on these four alone.

    last_day: the demo's, from which days ago are counted; `day` may be after it.
    """
    company = TENANTS[tenant]
    days_ago = (last_day - day).days
    if company.ended_days_ago is not None and days_ago < company.ended_days_ago:
        return []
    zone = ZoneInfo(company.timezone)
    events = [
        event
        for workload in company.workloads
        for event in _make_calls(workload, day, days_ago, zone, f"{seed}/{tenant}/{workload.feature}/{day}", seed)
    ]
    return sorted(events, key=lambda event: (event.time, event.event_id))


def make_live_call(rng: Random, *, tenant: str, moment: datetime, event_id: str) -> UsageEvent:
    """A call at this very moment, of one of the tenant's features."""
    company = TENANTS[tenant]
    local = moment.astimezone(ZoneInfo(company.timezone))
    weights = [
        workload.calls * (0.02 + workload.hours[local.hour] * workload.weekdays[local.weekday()])
        for workload in company.workloads
    ]
    workload = rng.choices(company.workloads, weights=weights)[0]
    return _make_call(rng, workload, moment, event_id=event_id, user=_choose_user(rng, workload))


def find_spike_day(last_day: date, days_ago: int) -> date:
    """That day, or the Friday before it where it is no working day."""
    day = last_day - timedelta(days=days_ago)
    return day - timedelta(days=max(0, day.weekday() - 4))


def _make_calls(
    workload: Workload, day: date, days_ago: int, zone: ZoneInfo, chance: str, seed: int
) -> Iterator[UsageEvent]:
    if workload.began_days_ago is not None and days_ago > workload.began_days_ago:
        return
    rng = Random(chance)
    volume = workload.calls * rng.uniform(DAY_LEAST, DAY_MOST) * workload.weekdays[day.weekday()]
    volume *= workload.growth ** (-days_ago / 30)
    last_day = day + timedelta(days=days_ago)
    spiking = workload.spike_days_ago is not None and day == find_spike_day(last_day, workload.spike_days_ago)
    tags = LATE_TAGS if days_ago in workload.late_days_ago else TAGS
    number = 0
    for hour, weight in enumerate(workload.hours):
        usual = int(volume * weight / 24 + rng.random())
        more = SPIKE_TIMES * usual if spiking and hour in SPIKE_HOURS else 0
        start = datetime.combine(day, time(hour), zone).astimezone(UTC)
        for place in range(usual + more):
            number += 1
            moment = start + timedelta(microseconds=rng.randrange(3_600_000_000))
            user = _choose_user(rng, workload) if place < usual else SPIKE_USER
            yield _make_call(
                rng, workload, moment, event_id=f"{seed}-{day}-{workload.feature}-{number}", user=user, tags=tags
            )


def _choose_user(rng: Random, workload: Workload) -> str:
    """A few use most of it; '' for what no person starts."""
    if workload.users == 1:
        return ""
    if workload.heavy and rng.random() < workload.heavy:
        return "u-001"
    first = 2 if workload.heavy else 1
    others = workload.users + 1 - first
    return f"u-{first + int(others * rng.random() ** (1 / RANK_EXPONENT)):03}"


def _make_call(
    rng: Random, workload: Workload, moment: datetime, *, event_id: str, user: str, tags: dict[str, str] = TAGS
) -> UsageEvent:
    failed = rng.random() < ERROR_SHARE
    usage = NOTHING_USED if failed else _draw_usage(rng, workload)
    return UsageEvent(
        event_id=event_id,
        source=SOURCE,
        time=moment,
        provider=workload.provider,
        model=workload.model,
        usage=usage,
        operation=workload.operation,
        environment="staging" if rng.random() < workload.staging else "production",
        feature=workload.feature,
        user=user,
        cost_center=_choose_cost_center(rng, workload),
        customer_tier=("enterprise", "pro", "free")[int(user[2:]) % 3] if workload.users > 20 and user else "",
        session_id=f"{workload.feature}-{moment:%Y%m%d}-{user[2:]}" if workload.cached and user else "",
        service_tier="batch" if workload.is_batch and moment.date() >= BATCH_PRICES_FROM else "standard",
        status="error" if failed else "ok",
        finish_reason="" if failed or workload.operation != "chat" else "stop",
        latency_ms=round((250 + 11 * usage.output_tokens) * math.exp(0.3 * rng.gauss(0, 1))),
        cache_hit=not failed and rng.random() < workload.answered_from_cache,
        tags=tags,
    )


def _choose_cost_center(rng: Random, workload: Workload) -> str:
    left = rng.random()
    for name, share in workload.cost_centers.items():
        left -= share
        if left < 0:
            return name
    return ""


def _draw_usage(rng: Random, workload: Workload) -> Usage:
    input_tokens = workload.tokens[0].draw(rng)
    if workload.operation == "embeddings":
        return Usage(input_tokens=input_tokens)
    output_tokens = workload.tokens[1].draw(rng)
    is_warm = rng.random() < 0.85
    return split_usage(
        {
            "input_tokens": input_tokens,
            "cache_read_tokens": int(input_tokens * workload.cached) if is_warm else 0,
            "cache_write_tokens": int(
                input_tokens * (workload.written if is_warm else min(workload.written * 10, 0.9))
            ),
            "output_tokens": output_tokens,
            "reasoning_tokens": int(output_tokens * workload.reasoning),
        }
    )
