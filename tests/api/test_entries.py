from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ledger.core.merkle import is_included
from ledger.core.records import COLUMNS
from ledger.selectors import ENTRY_COLUMNS, EntryCursor, EntryFilters, EntryIdInvalid, get_entry, list_entries
from tests.factories import make_event

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def ids(response):
    return [entry["event_id"] for entry in response.json()["entries"]]


def test_an_entry_is_given_in_the_ledgers_own_column_names(machine, acme, book):
    event = make_event(event_id="req-1", response_id="chatcmpl-1", feature="summarizer", tags={"plan": "gold"})
    receipt = book(acme, event)
    (entry,) = machine.get("/v1/entries").json()["entries"]
    assert set(entry) == {"id", *COLUMNS}
    assert entry["id"] == f"{receipt.batch_id}.0"
    # 200 at 2.50, 1,000 cached at 1.25, 300 at 10.00 USD a million: 0.0005 + 0.00125 + 0.003
    assert (entry["input_cost"], entry["cache_read_cost"], entry["output_cost"], entry["billed_cost"]) == (
        "0.000500000000",
        "0.001250000000",
        "0.003000000000",
        "0.004750000000",
    )
    # without the cache 1,200 tokens at 2.50 would have cost 0.003: 0.00125 more
    assert entry["saved_cost"] == "0.001250000000"
    assert (entry["charge_period_start"], entry["billing_period"]) == ("2026-11-22T12:00:00.000000Z", "2026-11-01")
    assert (entry["input_tokens"], entry["cache_read_tokens"], entry["output_tokens"]) == (200, 1000, 300)
    assert (entry["tags"], entry["other_usage"], entry["pricing_status"]) == ({"plan": "gold"}, {}, "priced")
    assert len(entry["leaf"]) == 64


def test_an_unpriced_entry_has_no_money_and_says_why(machine, acme, book):
    book(acme, make_event(model="unheard-of"))
    (entry,) = machine.get("/v1/entries?pricing_status=unpriced").json()["entries"]
    assert entry["billed_cost"] is None and entry["saved_cost"] is None
    assert entry["pricing_reason"] == "no_rate_for_model"


def test_other_usage_keeps_every_digit_as_a_number(machine, acme, book):
    book(acme, make_event(usage={"images": 2, "audio_seconds": Decimal("1.10")}))
    assert b'"other_usage":{"images":2,"audio_seconds":1.10}' in machine.get("/v1/entries").content


def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_overlap(machine, acme, book):
    for start in (0, 3, 6):
        book(acme, *(make_event(event_id=f"req-{number}") for number in range(start, start + 3)))
    seen, query = [], {"limit": 2}
    for _ in range(9):
        page = machine.get("/v1/entries", query).json()
        seen += [entry["event_id"] for entry in page["entries"]]
        if page["next"] is None:
            break
        query = {"limit": 2, "cursor": page["next"]}
    assert seen == [f"req-{number}" for number in (8, 7, 6, 5, 4, 3, 2, 1, 0)]


def test_a_page_that_ends_the_ledger_has_no_next(machine, acme, book):
    book(acme, make_event(), make_event())
    assert machine.get("/v1/entries?limit=2").json()["next"] is None
    assert machine.get("/v1/entries?limit=1").json()["next"] is not None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"feature": "search"}, ["b"]),
        ({"feature": ["search", "summarizer"]}, ["b", "a"]),
        ({"feature": ""}, ["c"]),
        ({"model": "unheard-of"}, ["c"]),
        ({"provider": "anthropic"}, []),
        ({"environment": "staging"}, ["b"]),
        ({"cost_center": "retail"}, ["a"]),
        ({"operation": "embeddings"}, ["c"]),
        ({"user": "u-17"}, ["a"]),
        ({"user": "nobody"}, []),
        ({"key": "otherkey"}, []),
        ({"key": "testkey", "status": "error"}, ["b"]),
        ({"pricing_status": "unpriced"}, ["c"]),
        ({"kind": "correction"}, []),
        ({"event_id": "a"}, ["a"]),
        ({"response_id": "chatcmpl-9"}, ["b"]),
        ({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}, ["a"]),
        ({"session_id": "s-1"}, ["c"]),
        ({"from": "2026-11-02T12:00:00Z", "to": "2026-11-02T13:00:00Z"}, ["a"]),
        ({"from": "2026-11-02T14:00:00+01:00"}, ["c", "b"]),
        ({"from": "2026-11-02", "to": "2026-11-03"}, ["b", "a"]),
        ({"to": "2026-11-02"}, []),
    ],
)
def test_a_filter_finds_its_entries(machine, acme, book, query, found):
    book(
        acme,
        make_event(
            event_id="a",
            time=NOON,
            feature="summarizer",
            cost_center="retail",
            user="u-17",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        make_event(
            event_id="b",
            feature="search",
            environment="staging",
            status="error",
            response_id="chatcmpl-9",
            time=NOON + timedelta(hours=1),
        ),
        make_event(
            event_id="c",
            feature="",
            model="unheard-of",
            operation="embeddings",
            session_id="s-1",
            time=NOON + timedelta(days=1),
        ),
    )
    assert ids(machine.get("/v1/entries", query)) == found


def test_days_that_are_long_past_are_paged_like_any_other(machine, acme, book):
    for start in (0, 2):
        book(acme, *(make_event(event_id=f"req-{number}", time=NOON) for number in range(start, start + 2)))
    book(acme, make_event(event_id="later", time=NOON + timedelta(days=1)))
    day = {"from": "2026-11-02", "to": "2026-11-03", "limit": 3}
    first = machine.get("/v1/entries", day).json()
    rest = machine.get("/v1/entries", day | {"cursor": first["next"]}).json()
    assert [entry["event_id"] for entry in first["entries"] + rest["entries"]] == ["req-3", "req-2", "req-1", "req-0"]
    assert rest["next"] is None


def test_a_batch_is_found_by_its_id(machine, acme, book):
    book(acme, make_event(event_id="a"))
    receipt = book(acme, make_event(event_id="b"))
    assert ids(machine.get("/v1/entries", {"batch_id": str(receipt.batch_id)})) == ["b"]


def test_a_user_is_found_by_the_reference_as_well(machine, acme, book):
    book(acme, make_event(user="u-17"))
    (entry,) = machine.get("/v1/entries").json()["entries"]
    assert entry["user_ref"].startswith("u_")
    assert len(machine.get("/v1/entries", {"user": entry["user_ref"]}).json()["entries"]) == 1


def test_days_are_those_of_the_tenants_zone(book, db):
    from tests.api.conftest import Machine
    from tests.factories import make_key, make_tenant

    tokyo = make_tenant("acme", timezone="Asia/Tokyo")
    book(tokyo, make_event(event_id="late", time=datetime(2026, 11, 21, 15, 0, tzinfo=UTC)))  # midnight of the 22nd
    machine = Machine(make_key(tokyo, "read"))
    assert ids(machine.get("/v1/entries?from=2026-11-22")) == ["late"]
    assert ids(machine.get("/v1/entries?to=2026-11-22")) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=%D9%A3", "limit"),
        ("cursor=xyz", "cursor"),
        ("cursor=019a8f00-0000-7000-8000-000000000001.2147483648", "cursor"),
        ("batch_id=1", "batch_id"),
        ("from=2026-11-22T12:00:00", "from"),
        ("from=2026-13-01", "from"),
        ("from=0001-01-01T00:00:00Z", "from"),
        ("to=9999-12-31T23:59:59-12:00", "to"),
        ("feature=%00", "feature"),
        ("feature=" + "x" * 513, "feature"),
        ("&".join(f"feature={number}" for number in range(51)), "feature"),
        ("pricing_status=free", "pricing_status"),
        ("since=2026-11-22", "since"),
    ],
)
def test_a_wrong_parameter_is_named(machine, query, field):
    response = machine.get(f"/v1/entries?{query}")
    assert response.status_code == 422
    assert [fault["field"] for fault in response.json()["problems"]] == [field]


def test_an_entry_is_explained_and_proved(machine, acme, book):
    receipt = book(acme, *(make_event() for _ in range(5)))
    answer = machine.get(f"/v1/entries/{receipt.batch_id}.3").json()
    assert answer["entry"]["line"] == 3
    assert answer["corrections"] == []
    proof = answer["proof"]
    assert (proof["status"], proof["leaf_index"], proof["tree_size"]) == ("receipted", 3, 5)
    assert proof["receipt"] == receipt.receipt
    assert is_included(
        leaf=bytes.fromhex(proof["leaf"]),
        index=3,
        size=5,
        path=[bytes.fromhex(sibling) for sibling in proof["path"]],
        root=bytes.fromhex(proof["root"]),
    )
    assert (proof["row_agrees"], proof["path_agrees"], proof["receipt_agrees"]) == (True, True, True)
    explanation = answer["explanation"]
    assert [
        (line["meter"], line["quantity"], line["price"], line["per"], line["cost"]) for line in explanation["lines"]
    ] == [
        ("input", 200, "2.5", 1_000_000, "0.000500000000"),
        ("cache_read", 1000, "1.25", 1_000_000, "0.001250000000"),
        ("output", 300, "10", 1_000_000, "0.003000000000"),
    ]
    assert (explanation["total"], explanation["stored"]) == ("0.004750000000", "0.004750000000")
    assert (explanation["difference"], explanation["agrees"]) == ("0.000000000000", True)
    assert explanation["rate"]["name"] == "openai gpt-4o-2024-08-06"


def test_an_unpriced_entry_is_explained_by_its_reason(machine, acme, book):
    receipt = book(acme, make_event(model="unheard-of"))
    answer = machine.get(f"/v1/entries/{receipt.batch_id}.0").json()
    explanation = answer["explanation"]
    assert (explanation["status"], explanation["lines"], explanation["total"]) == ("unpriced", [], None)
    assert explanation["reason"] == "No published rate matches this provider and model."
    assert answer["proof"]["status"] == "receipted"


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE ledger_entry SET billed_cost = 0, input_cost = 0, cache_read_cost = 0, output_cost = 0", "row_agrees"),
        ("UPDATE ledger_entry SET leaf = sha256('x'::bytea)", "path_agrees"),
        ("UPDATE ledger_batch SET root = sha256('x'::bytea)", "receipt_agrees"),
    ],
)
def test_a_row_that_was_changed_behind_our_back_is_called_broken(committed_db, administrator_url, statement, broken):
    import psycopg

    from billing.ingestion import ingest_events
    from tests.api.conftest import Machine
    from tests.conftest import DATABASE
    from tests.factories import make_key, make_tenant, publish_test_rates

    publish_test_rates()
    acme = make_tenant("acme")
    receipt = ingest_events(tenant_id=acme.id, api_key_id="k", events=[(0, make_event())], now=datetime.now(UTC))
    with psycopg.connect(administrator_url, dbname=DATABASE) as connection:  # a superuser, past every trigger
        table = statement.split()[1]
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER refuse_change")
        connection.execute(f"{statement} WHERE tenant_id = {acme.id}")
        connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER refuse_change")
    proof = Machine(make_key(acme, "read")).get(f"/v1/entries/{receipt.batch_id}.0").json()["proof"]
    assert (proof["status"], proof[broken]) == ("broken", False)


@pytest.mark.parametrize(
    "entry_id",
    ["1", "019a8f00-0000-7000-8000-000000000001.0", "019a8f00-0000-7000-8000-000000000001.99999999999", "x.y"],
)
def test_an_entry_that_is_not_there_is_a_404(machine, entry_id):
    response = machine.get(f"/v1/entries/{entry_id}")
    assert (response.status_code, response.json()["code"]) == (404, "entry_unknown")


def test_another_tenants_entry_is_not_there(acme, stranger, book):
    receipt = book(acme, make_event(feature="acme-secret"))
    response = stranger.get(f"/v1/entries/{receipt.batch_id}.0")
    assert (response.status_code, response.json()["code"]) == (404, "entry_unknown")
    for query in ({}, {"batch_id": str(receipt.batch_id)}, {"cursor": "ffffffff-ffff-7fff-bfff-ffffffffffff.0"}):
        assert stranger.get("/v1/entries", query).json() == {"entries": [], "next": None}


def test_an_operator_reads_the_tenant_that_it_names(operator, acme, globex, book):
    receipt = book(acme, make_event(event_id="ours"))
    assert ids(operator.get("/v1/entries", **{"X-Tenant": acme.slug})) == ["ours"]
    assert ids(operator.get("/v1/entries", **{"X-Tenant": globex.slug})) == []
    assert operator.get(f"/v1/entries/{receipt.batch_id}.0").status_code == 404


def test_the_selector_gives_every_column_with_exact_money(acme, book):
    book(acme, make_event())
    (entry,) = list_entries(tenant_id=acme.id, filters=EntryFilters(), limit=10).entries
    assert set(ENTRY_COLUMNS) == set(COLUMNS)
    assert entry["billed_cost"] == Decimal("0.004750000000")
    assert get_entry(tenant_id=acme.id, entry_id=entry["id"]) == entry


def test_a_page_costs_the_same_number_of_queries_however_long_it_is(machine, acme, book, django_assert_num_queries):
    book(acme, make_event())
    with django_assert_num_queries(6):  # key; SAVEPOINT, tenant set, page, tenant set back, RELEASE
        machine.get("/v1/entries")
    book(acme, *(make_event() for _ in range(50)))
    with django_assert_num_queries(6):
        machine.get("/v1/entries")


def test_a_cursor_is_an_entrys_id():
    cursor = EntryCursor.read("019a8f00-0000-7000-8000-000000000001.12")
    assert (str(cursor), cursor.line) == ("019a8f00-0000-7000-8000-000000000001.12", 12)
    for text in ("", "019a8f00-0000-7000-8000-000000000001", "019a8f00-0000-7000-8000-000000000001.-1"):
        with pytest.raises(EntryIdInvalid):
            EntryCursor.read(text)
