"""A ledger of millions of rows, written by SQL: valid under every check, in traffic's shape, and past the product.

Three tenants share the rows 5 : 3 : 2, and 501 models: each has 167 of its own, about nine to a feature, and 20
features, some busy and most quiet. A feature has 250 users, of whom each mostly keeps to one of its models. Three
environments, four keys, five cost centres. Tokens and latency are log-normal; one call in a hundred has no price and
one in a hundred fails.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg

BATCH_SIZE = 1_000
MODELS_PER_TENANT = 167
SHARES = (0.5, 0.3, 0.2)
BATCHES_PER_STATEMENT = 50

FILL_LEDGER_SQL = """
    WITH batch AS MATERIALIZED (
        SELECT uuidv7() AS batch_id, %(recorded_from)s::timestamptz + number * interval '1 ms' AS recorded_at,
               %(used_from)s::timestamptz + number * %(step)s::interval AS used_from
        FROM generate_series(0, %(batches)s - 1) AS number),
    call AS MATERIALIZED (
        SELECT batch.*, line, (20 * power(random(), 1.5))::int AS feature_number, (250 * power(random(), 2))::int
                   AS person,
               random() AS chance, random() AS other_chance, random() AS moment,
               least(exp(random_normal(7, 1.2)), 1000000)::bigint AS fresh,
               CASE WHEN random() < 0.4 THEN least(exp(random_normal(7, 1)), 1000000)::bigint ELSE 0 END AS cached,
               least(exp(random_normal(5.5, 1)), 100000)::bigint AS generated
        FROM batch CROSS JOIN generate_series(0, %(batch_size)s - 1) AS line),
    used AS MATERIALIZED (
        SELECT call.*, least(feature_number, 19) AS feature,
               mod(%(tenant_id)s, 1000) * %(models)s + least(least(feature_number, 19) * 8
                   + mod(CASE WHEN chance < 0.9 THEN person * 7919 ELSE (1000 * moment)::int END, 9),
                   %(models)s - 1) AS model
        FROM call),
    priced AS MATERIALIZED (
        SELECT used.*, other_chance > 0.01 AS has_price,
               round((0.1 + mod(model * 7, 97) / 10.0)::numeric, 2) / 1000000 AS price FROM used),
    entry AS (
        INSERT INTO ledger_entry
        SELECT %(tenant_id)s, batch_id, line, recorded_at, used_from + moment * %(spread)s::interval,
               date_trunc('month', recorded_at, 'UTC')::date,
               least(exp(6.5 + chance * 2), 600000)::bigint, 1, fresh, cached, 0, 0, generated, generated / 4, 1, 0,
               false, 'usage', NULL, 'bench', batch_id::text || '.' || line, '', 'key' || mod(feature, 4),
               CASE WHEN other_chance < 0.85 THEN 'production' WHEN other_chance < 0.95 THEN 'staging'
                    ELSE 'development' END,
               'feature-' || feature, 'user-' || feature || '-' || person, 'centre-' || mod(feature, 5), '', '', '', '',
               '', '{}', 'chat', 'provider-' || mod(model, 10), 'model-' || model, 'model-' || model, 'standard', '',
               CASE WHEN chance < 0.01 THEN 'error' ELSE 'ok' END, 'stop', '', '', '{}', 'USD',
               CASE WHEN has_price THEN 'priced' ELSE 'unpriced' END,
               CASE WHEN has_price THEN '' ELSE 'no_rate_for_model' END,
               CASE WHEN has_price THEN fresh * price END, CASE WHEN has_price THEN cached * price / 10 END,
               CASE WHEN has_price THEN 0 END, CASE WHEN has_price THEN generated * price * 4 END,
               CASE WHEN has_price THEN 0 END,
               CASE WHEN has_price THEN fresh * price + cached * price / 10 + generated * price * 4 END,
               CASE WHEN has_price THEN fresh * price + cached * price / 10 + generated * price * 4 END,
               CASE WHEN has_price THEN cached * price * 9 / 10 END, NULL, sha256(batch_id::text::bytea)
        FROM priced
        RETURNING batch_id, recorded_at, billed_cost),
    header AS (
        INSERT INTO ledger_batch
        SELECT %(tenant_id)s, batch_id, recorded_at, '', 'usage', count(*), count(*) - count(billed_cost),
               sum(billed_cost), sha256('bench'), ''
        FROM entry GROUP BY batch_id, recorded_at
        RETURNING batch_id, recorded_at, entry_count)
    INSERT INTO outbox (topic, tenant_id, batch_id, recorded_at, entry_count)
    SELECT 'rollup', %(tenant_id)s, batch_id, recorded_at, entry_count FROM header WHERE %(is_waiting)s"""


def fill_history(url: str, tenant_ids: Sequence[int], *, rows: int, now: datetime, days: int = 90) -> None:
    """Add `rows` that were used evenly over the last `days` and booked over the last 38; none of them waits."""
    works = []
    for tenant_id, share in zip(tenant_ids, SHARES, strict=True):
        batches = round(rows * share / BATCH_SIZE)
        statements = max(1, batches // BATCHES_PER_STATEMENT)
        used, booked = timedelta(days=days) / statements, timedelta(days=38) / statements
        for number in range(statements):
            part = batches * (number + 1) // statements - batches * number // statements
            works.append(
                {
                    "tenant_id": tenant_id,
                    "recorded_from": now - timedelta(days=38) + number * booked,
                    "used_from": now - timedelta(days=days) + number * used,
                    "step": used / max(part, 1),
                    "spread": used / max(part, 1),
                    "batches": part,
                    "is_waiting": False,
                }
            )
    works.sort(key=lambda work: work["recorded_from"])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: _fill(url, **work), works))


def fill_waiting(url: str, tenant_ids: Sequence[int], *, rows: int, now: datetime, spread: timedelta) -> None:
    """Add `rows` that were booked just now, used over the last `spread`, and wait in the outbox."""
    for tenant_id, share in zip(tenant_ids, SHARES, strict=True):
        _fill(
            url,
            tenant_id=tenant_id,
            recorded_from=now,
            used_from=now - spread,
            step=timedelta(0),
            spread=spread,
            batches=round(rows * share / BATCH_SIZE),
            is_waiting=True,
        )


def fill_month(url: str, tenant_id: int, *, rows: int, start: datetime, end: datetime) -> None:
    """Add `rows` of one tenant that were used and booked evenly between two moments of a month; none of them waits."""
    batches = rows // BATCH_SIZE
    statements = max(1, batches // BATCHES_PER_STATEMENT)
    step = (end - start) / statements
    works = [
        {
            "tenant_id": tenant_id,
            "recorded_from": start + number * step,
            "used_from": start + number * step,
            "step": step / max(part, 1),
            "spread": step / max(part, 1),
            "batches": part,
            "is_waiting": False,
        }
        for number in range(statements)
        for part in [batches * (number + 1) // statements - batches * number // statements]
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: _fill(url, **work), works))


def _fill(url: str, **values: object) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        psycopg.ClientCursor(connection).execute(
            FILL_LEDGER_SQL, {"batch_size": BATCH_SIZE, "models": MODELS_PER_TENANT, **values}
        )
