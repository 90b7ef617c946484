"""What is out of the ordinary about a cost, kind by kind, and which part of it moved; see `docs/watch.md`. Pure.

Whoever asks brings the numbers of one scope (a tenant, a feature of it, a key) and gets a Verdict: an Anomaly, nothing,
or the reason why nothing could be judged. Cost is in whole pico-USD.
"""

from alerts.core.anomalies.anomaly import KINDS, Anomaly, Verdict
from alerts.core.anomalies.calls import find_heavy_request, find_heavy_user, find_rate_spike, find_truncation
from alerts.core.anomalies.causes import Cause, find_cause
from alerts.core.anomalies.days import find_budget_overrun, find_daily_rise, find_daily_spike, find_sustained_growth
from alerts.core.anomalies.episodes import Episode, group_episodes
from alerts.core.anomalies.hours import HourRanges, find_hourly_spikes, find_past_spikes, measure_hours
from alerts.core.anomalies.prices import find_cache_collapse, find_price_drift, find_unpriced
from alerts.core.anomalies.sentences import describe_anomaly, describe_cause
from alerts.core.anomalies.sources import find_difference, find_new, find_silence, find_unsealed
from alerts.core.anomalies.thresholds import Thresholds

__all__ = [
    "KINDS",
    "Anomaly",
    "Cause",
    "Episode",
    "HourRanges",
    "Thresholds",
    "Verdict",
    "describe_anomaly",
    "describe_cause",
    "find_budget_overrun",
    "find_cache_collapse",
    "find_cause",
    "find_daily_rise",
    "find_daily_spike",
    "find_difference",
    "find_heavy_request",
    "find_heavy_user",
    "find_hourly_spikes",
    "find_new",
    "find_past_spikes",
    "find_price_drift",
    "find_rate_spike",
    "find_silence",
    "find_sustained_growth",
    "find_truncation",
    "find_unpriced",
    "find_unsealed",
    "group_episodes",
    "measure_hours",
]
