"""Who uses what in the demo: five companies and their features, all of it made up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.core.demo.shapes import (
    BATCH_HOURS,
    CHAT,
    CODE,
    EVERY_DAY,
    HEAVY_SHARE,
    HOURS,
    LABEL,
    NIGHT_OWL_HOURS,
    OFFICE_HOURS,
    OFFICE_WEEK,
    REASONING,
    REPORT,
    SNIPPET,
    SUMMARY,
    WEEKDAYS,
    Spread,
)


@dataclass(frozen=True, slots=True)
class Workload:
    """One feature's calls on a mean day. Shares are of calls; cost centre '' is unallocated.

    Days ago are counted from the demo's last day. late_days_ago: days whose calls are reported on the last day only.
    """

    feature: str
    provider: str
    model: str
    calls: int
    tokens: tuple[Spread, Spread]
    cost_centers: Mapping[str, float]
    users: int
    operation: str = "chat"
    hours: Sequence[float] = HOURS  # of the tenant's own clock, the mean being 1
    weekdays: Sequence[float] = WEEKDAYS
    heavy: float = 0.0  # share of u-001
    cached: float = 0.0  # share of the input that a warm cache answers
    written: float = 0.0
    reasoning: float = 0.0  # share of the output
    answered_from_cache: float = 0.0
    staging: float = 0.0
    growth: float = 1.0  # of the calls in 30 days, this many times as many
    began_days_ago: int | None = None
    spike_days_ago: int | None = None
    late_days_ago: tuple[int, ...] = ()
    is_batch: bool = False


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """A company of the demo. ended_days_ago: since when it sends nothing. agent_runs: of a mean day, as traces."""

    name: str
    timezone: str
    workloads: tuple[Workload, ...]
    ended_days_ago: int | None = None
    agent_runs: int = 0
    slips: int = 0  # events of a mean day that cannot be booked


TENANTS = {
    "acme": DemoTenant("Acme (demo)", "UTC", (
        Workload("support-chat", "openai", "gpt-5.4-2026-03-05", 200, CHAT, {"retail": 0.8, "": 0.2}, 60, cached=0.6,
                 reasoning=0.3, answered_from_cache=0.03),
        Workload("summarizer", "openai", "gpt-5.6-luna", 80, SUMMARY, {"retail": 0.5, "logistics": 0.5}, 25,
                 heavy=HEAVY_SHARE, cached=0.5, staging=0.05),
        Workload("code-assistant", "anthropic", "claude-sonnet-4-6", 10, CODE, {"engineering": 1.0}, 14, cached=0.93,
                 written=0.05, hours=OFFICE_HOURS, weekdays=OFFICE_WEEK, staging=0.1, spike_days_ago=9),
        Workload("research", "google", "gemini-3.1-pro-preview", 50, REASONING, {"strategy": 0.6, "": 0.4}, 9,
                 reasoning=0.7, hours=NIGHT_OWL_HOURS),
        Workload("report-writer", "anthropic", "claude-sonnet-4-6", 40, REPORT, {"finance": 1.0}, 1,
                 hours=BATCH_HOURS, weekdays=EVERY_DAY, late_days_ago=(5, 4), is_batch=True),
        Workload("doc-index", "openai", "text-embedding-3-small", 20, SNIPPET, {"logistics": 1.0}, 1,
                 operation="embeddings"),
        # Served by a machine of its own, for which nobody has published a rate: it stays unpriced.
        Workload("vision-pilot", "acme-gpu", "inhouse-vl-2", 6, SUMMARY, {"": 1.0}, 2, began_days_ago=40),
    ), agent_runs=7, slips=2),
    "globex": DemoTenant("Globex (demo)", "UTC", (
        Workload("contract-review", "anthropic", "claude-sonnet-4-6", 40, REPORT, {"legal": 1.0}, 8, cached=0.7,
                 written=0.1, hours=OFFICE_HOURS, weekdays=OFFICE_WEEK),
        Workload("help-desk", "openai", "gpt-5.4-mini-2026-03-17", 90, CHAT, {"service": 0.9, "": 0.1}, 30, cached=0.4),
        Workload("forecast-notes", "google", "gemini-3.1-pro-preview", 20, REASONING, {"sales": 1.0}, 5,
                 reasoning=0.6),
    ), agent_runs=3, slips=1),
    "northlight": DemoTenant("Northlight Media (demo)", "America/New_York", (
        Workload("reader-chat", "openai", "gpt-5.4-mini-2026-03-17", 130, CHAT, {"audience": 0.85, "": 0.15}, 400,
                 cached=0.5, weekdays=EVERY_DAY, answered_from_cache=0.06, growth=1.1),
        Workload("headline-labels", "openai", "gpt-5.6-luna", 90, LABEL, {"newsroom": 1.0}, 1, weekdays=EVERY_DAY),
        Workload("archive-search", "openai", "text-embedding-3-small", 40, SNIPPET, {"newsroom": 0.7, "": 0.3}, 1,
                 operation="embeddings", staging=0.2),
    ), slips=1),
    "veltra": DemoTenant("Veltra Freight (demo)", "Europe/Berlin", (
        Workload("customs-papers", "anthropic", "claude-haiku-4-5", 70, REPORT, {"customs": 1.0}, 12,
                 hours=OFFICE_HOURS, weekdays=OFFICE_WEEK, cached=0.3, written=0.1),
        Workload("driver-chat", "openai", "gpt-5.4-mini-2026-03-17", 50, CHAT, {"dispatch": 0.8, "": 0.2}, 80),
    ), ended_days_ago=25),
    "pebble": DemoTenant("Pebble Labs (demo)", "Europe/Dublin", (
        Workload("tutor", "google", "gemini-3.1-pro-preview", 16, REASONING, {"": 1.0}, 40, reasoning=0.6,
                 weekdays=EVERY_DAY, growth=1.8, began_days_ago=95, staging=0.3),
    )),
}  # fmt: skip

# Acme's own price of the model behind its support chat: 15 % below the list, from the start of a day.
CONTRACT_DAYS_AGO = 21
CONTRACT: Mapping[str, Any] = {
    "provider": "openai",
    "model": "gpt-5.4-2026-03-05",
    "tenant": "acme",
    "currency": "USD",
    "meters": {
        "input": {"price": "2.125", "list_price": "2.5", "per": 1_000_000},
        "cache_read": {"price": "0.2125", "list_price": "0.25", "per": 1_000_000},
        "output": {"price": "12.75", "list_price": "15", "per": 1_000_000},
    },
    "source": {"name": "contract A-17 (simulated)", "note": "15 % off the list"},
}
