import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection

from tenants.scope import tenant_scope
from tests.factories import make_event

OCTOBER = datetime(2026, 10, 5, 12, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 5, 12, tzinfo=UTC)
QUESTION = {"from": "2026-11-01", "to": "2026-12-01"}
STEPS = ("price", "volume", "mix", "cache", "new", "ended")


def ask(machine, **query):
    response = machine.get("/v1/costs/changes", {**QUESTION, **query})
    assert response.status_code == 200, response.content
    return response.json()


def use(input_tokens, output_tokens, cached=0):
    return {"input_tokens": input_tokens, "cache_read_tokens": cached, "output_tokens": output_tokens}


def write_steps(**steps):
    return {name: f"{Decimal(steps.get(name, 0)):.12f}" for name in STEPS}


def test_a_month_is_explained_in_steps_that_add_up(machine, acme, book):
    # October: chat 1 M in at 2.50 and 0.1 M out at 10: 3.50. faq: 0.05 M out: 0.50.
    # November: chat 1.5 M in, 0.5 M cached at 1.25, 0.2 M out: 3.75 + 0.625 + 2 = 6.375. search: 0.1 M out: 1.
    # Chat's tokens doubled: 3.50 more. 4.375 for input where twice 2.50 would be 5.
    book(
        acme,
        make_event(time=OCTOBER, feature="chat", usage=use(1_000_000, 100_000)),
        make_event(time=OCTOBER, feature="faq", usage=use(0, 50_000)),
        make_event(time=NOVEMBER, feature="chat", usage=use(2_000_000, 200_000, cached=500_000)),
        make_event(time=NOVEMBER, feature="search", usage=use(0, 100_000)),
    )
    answer = ask(machine, group_by="feature")
    assert (answer["compare_from"], answer["compare_to"]) == (
        "2026-10-01T00:00:00.000000Z",
        "2026-11-01T00:00:00.000000Z",
    )
    assert [(row["feature"], row["difference"], row["steps"]) for row in answer["rows"]] == [
        ("chat", "2.875000000000", write_steps(volume="3.5", cache="-0.625")),
        ("search", "1.000000000000", write_steps(new="1")),
        ("faq", "-0.500000000000", write_steps(ended="-0.5")),
    ]
    totals = answer["totals"]
    assert totals["steps"] == write_steps(volume="3.5", cache="-0.625", new="1", ended="-0.5")
    assert totals["difference"] == "3.375000000000"
    assert (totals["before"]["billed_cost"], totals["after"]["billed_cost"]) == ("4.000000000000", "7.375000000000")


def test_any_two_periods_are_compared(machine, acme, book):
    book(acme, make_event(time=OCTOBER, usage=use(0, 100_000)), make_event(time=NOVEMBER, usage=use(0, 300_000)))
    answer = ask(
        machine,
        **{"from": "2026-10-05", "to": "2026-10-06"},
        compare_from="2026-11-05",
        compare_to="2026-11-06",
    )
    assert answer["rows"][0] == answer["totals"]
    assert answer["totals"]["steps"] == write_steps(volume="-2")


def test_the_steps_of_any_question_add_up_to_what_the_ledger_says(machine, acme, stranger, book):
    chance = random.Random(7)
    book(acme, *(draw_event(chance) for _ in range(400)))
    for _ in range(40):
        filters = draw_filters(chance)
        answer = ask(machine, group_by=chance.sample(["feature", "provider", "model"], chance.randint(0, 3)), **filters)
        rows, totals = answer["rows"], answer["totals"]
        assert add(totals["steps"].values()) == Decimal(totals["difference"]) == sum_ledger(acme, filters)
        for row in rows:
            assert add(row["steps"].values()) == Decimal(row["difference"])
        for name in STEPS:
            assert add(row["steps"][name] for row in rows) == Decimal(totals["steps"][name])
    assert ask(stranger)["totals"]["difference"] == "0.000000000000"


def test_a_question_that_has_no_exact_answer_is_refused_by_name(machine, acme):
    for query, word in (
        ({"group_by": "user"}, "group_by"),
        ({"compare_from": "2026-01-01"}, "compare_to"),
        ({"compare_from": "2026-02-01", "compare_to": "2026-01-01"}, "compare_to"),
        ({"user": "mia"}, "user"),
    ):
        response = machine.get("/v1/costs/changes", {**QUESTION, **query})
        assert (response.status_code, response.json()["problems"][0]["field"]) == (422, word)


def draw_event(chance):
    size = chance.choice([3, 1_000, 250_000])
    return make_event(
        time=datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(24 * 61)),
        feature=chance.choice(["chat", "search", ""]),
        environment=chance.choice(["production", "staging"]),
        model=chance.choice(["gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "unheard-of"]),
        usage=use(chance.randrange(size) + size, chance.randrange(size), cached=chance.randrange(size)),
    )


def draw_filters(chance):
    values = {
        "feature": ["chat", "search", ""],
        "environment": ["production", "staging"],
        "model": ["gpt-4o-2024-08-06", "unheard-of"],
    }
    return {name: chance.sample(values[name], 1) for name in chance.sample(sorted(values), chance.randint(0, 2))}


def add(amounts):
    return sum(map(Decimal, amounts), Decimal(0))


def sum_ledger(tenant, filters):
    conditions = "".join(f" AND {name} = %({name})s" for name in filters)
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT coalesce(sum(CASE WHEN charge_period_start >= '2026-11-01Z' THEN billed_cost
                                         ELSE -billed_cost END), 0)
                FROM ledger_entry WHERE charge_period_start < '2026-12-01Z' {conditions}""",  # noqa: S608 - names above
            {name: value for name, (value,) in filters.items()},
        )
        return cursor.fetchone()[0]
