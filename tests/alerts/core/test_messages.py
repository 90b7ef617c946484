"""A message tells what its alert's page shows: the impact, and what that is made up of where it adds up."""

from datetime import UTC, datetime
from decimal import Decimal

from alerts.core.facts import Facts, Figure, Mover, Part, write_facts
from alerts.core.messages import make_message

NOW = datetime(2026, 11, 12, 9, 22, tzinfo=UTC)
FACTS = Facts(
    figures=(Figure("Calls", "96,114"),),
    movers=(
        Mover("user", "u-17", Decimal("30.21"), Decimal("630.76")),
        Mover("user", "", Decimal("10"), Decimal("6.92"), "214 users"),
        Mover("feature", "chat", Decimal("40.21"), Decimal("637.68")),
    ),
    parts=(Part("price", Decimal(0)), Part("volume", Decimal("600.00")), Part("mix", Decimal("-2.53"))),
)


def list_figures(facts, impact):
    message = make_message(
        kind="opened", tenant="acme", tenant_name="Acme", happened_at=NOW, alert_id=1, rule="hourly_spike", scope={},
        severity="high", title="t", impact=Decimal(impact), facts=write_facts(facts), opened_at=NOW,
    )  # fmt: skip
    return [(figure.label, figure.value) for figure in message.figures]


def test_who_moved_and_how_are_told_as_sums_of_the_impact():
    # 600.55 − 3.08 = 600.00 − 2.53 = 597.47
    assert list_figures(FACTS, "597.47") == [
        ("Impact", "$597.47"),
        ("Calls", "96,114"),
        ("Who moved", "user u-17 +$600.55, others −$3.08"),
        ("What kind", "price $0.00, volume +$600.00, mix −$2.53"),
    ]


def test_what_does_not_add_up_is_left_to_the_page():
    assert [label for label, _ in list_figures(FACTS, "597.48")] == ["Impact", "Calls"]
