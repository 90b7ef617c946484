"""Who is told, and when: worked by hand on calendars."""

from datetime import UTC, datetime, time

import pytest

from alerts.core.routing import Route, find_due, pick_routes

ROUTES = [
    Route(channel_id=1, kind="slack", scope={}),
    Route(channel_id=2, kind="pagerduty", scope={}, severity_min="critical"),
    Route(channel_id=3, kind="email", scope={"feature": "chat"}),
    Route(channel_id=4, kind="email", scope={}, owner="Support", severity_min="warning"),
]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "scope", "owner", "named", "picked"),
    [
        ("info", {}, "", [], [1]),
        ("critical", {}, "", [], [1, 2]),
        ("info", {"feature": "chat", "user": "ann"}, "", [], [1, 3]),
        ("info", {"feature": "search"}, "Support", [], [1]),
        ("warning", {"feature": "search"}, "Support", [], [1, 4]),
        ("info", {}, "", [2, 4], [2, 4]),  # named ones take it whatever they filter
        ("critical", {}, "", [9], []),  # and no other stands in for one that is gone
    ],
)
def test_a_channel_takes_what_fits_all_of_its_filters(severity, scope, owner, named, picked):
    routes = pick_routes(ROUTES, severity=severity, scope=scope, owner=owner, channel_ids=named)
    assert [route.channel_id for route in routes] == picked


@pytest.mark.parametrize(
    ("at", "due", "hold"),
    [
        # 22:00 to 07:00 in Berlin, an hour ahead of UTC in winter.
        (utc(2026, 11, 22, 20, 59), utc(2026, 11, 22, 20, 59), ""),
        (utc(2026, 11, 22, 21), utc(2026, 11, 23, 6), "quiet hours"),
        (utc(2026, 11, 23, 5, 59), utc(2026, 11, 23, 6), "quiet hours"),
        (utc(2026, 11, 23, 6), utc(2026, 11, 23, 6), ""),
        # The night in which clocks go from 02:00 to 03:00: 07:00 is 05:00 UTC after it.
        (utc(2026, 3, 28, 22), utc(2026, 3, 29, 5), "quiet hours"),
        # And that in which they go back: 07:00 is 06:00 UTC again.
        (utc(2026, 10, 24, 21), utc(2026, 10, 25, 6), "quiet hours"),
    ],
)
def test_a_message_waits_for_the_end_of_the_quiet_hours_of_the_tenants_clock(at, due, hold):
    route = Route(channel_id=1, kind="slack", scope={}, quiet_from=time(22), quiet_to=time(7))
    assert find_due(route, severity="high", at=at, timezone="Europe/Berlin") == (due, hold)
    assert find_due(route, severity="critical", at=at, timezone="Europe/Berlin") == (at, "")


def test_quiet_hours_within_a_day_end_on_that_day():
    route = Route(channel_id=1, kind="slack", scope={}, quiet_from=time(12), quiet_to=time(13, 30))
    assert find_due(route, severity="info", at=utc(2026, 11, 22, 12, 10), timezone="UTC") == (
        utc(2026, 11, 22, 13, 30),
        "quiet hours",
    )
    assert find_due(route, severity="info", at=utc(2026, 11, 22, 13, 30), timezone="UTC")[1] == ""


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (utc(2026, 11, 22, 3), utc(2026, 11, 22, 3, 30)),  # 09:00 in Kolkata, five and a half hours ahead
        (utc(2026, 11, 22, 3, 30), utc(2026, 11, 23, 3, 30)),
    ],
)
def test_a_digest_goes_out_at_its_hour_of_the_tenants_clock(at, due):
    route = Route(channel_id=1, kind="email", scope={}, digest_hour=9)
    assert find_due(route, severity="high", at=at, timezone="Asia/Kolkata") == (due, "digest")
    assert find_due(route, severity="critical", at=at, timezone="Asia/Kolkata") == (at, "")
