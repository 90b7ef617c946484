-- What each trace cost, for the list of the dearest: the ledger would have to be read whole for it.

-- A trace that ran in two environments has a row in each, so that each environment's list adds up.
CREATE TABLE trace_cost (
    tenant_id bigint NOT NULL,
    trace_id text NOT NULL,
    environment text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    day date NOT NULL GENERATED ALWAYS AS ((first_at AT TIME ZONE 'UTC')::date) STORED,
    calls bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    error_calls bigint NOT NULL,
    tokens bigint NOT NULL,
    billed_cost numeric(30,12) NOT NULL,
    features text[] NOT NULL,
    user_refs text[] NOT NULL,
    session_ids text[] NOT NULL,
    model_names text[] NOT NULL,
    PRIMARY KEY (tenant_id, trace_id, environment)
) WITH (fillfactor = 80);

SELECT protect_tenant_table('trace_cost');
GRANT SELECT, INSERT, UPDATE, DELETE ON trace_cost TO tokenledger_app;
GRANT SELECT ON trace_cost TO tokenledger_reader;

-- What was rolled up before. Nothing is added to days meanwhile, lest it be left out. Row security binds the owner too,
-- so one tenant after the other.
LOCK TABLE cost_day IN SHARE MODE;
SET LOCAL work_mem = '64MB';
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('app.tenant_id', one.id::text, true);
        INSERT INTO trace_cost (tenant_id, trace_id, environment, first_at, last_at, calls, unpriced_calls, error_calls,
                                tokens, billed_cost, features, user_refs, session_ids, model_names)
        SELECT one.id, trace_id, environment, min(charge_period_start),
               max(charge_period_start
                   + least(greatest(coalesce(latency_ms, 0), 0), 2592000000) * interval '1 millisecond'),
               sum(calls), coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0),
               coalesce(sum(calls) FILTER (WHERE status = 'error'), 0),
               sum(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens + output_tokens),
               coalesce(sum(billed_cost), 0),
               coalesce((array_agg(DISTINCT feature) FILTER (WHERE feature <> ''))[1:20], '{}'),
               coalesce((array_agg(DISTINCT user_ref) FILTER (WHERE user_ref <> ''))[1:20], '{}'),
               coalesce((array_agg(DISTINCT session_id) FILTER (WHERE session_id <> ''))[1:20], '{}'),
               coalesce((array_agg(DISTINCT model) FILTER (WHERE model <> ''))[1:20], '{}')
        FROM ledger_entry
        WHERE tenant_id = one.id AND trace_id <> '' AND kind <> 'admin_act' AND NOT EXISTS (
            SELECT FROM outbox
            WHERE topic = 'rollup' AND outbox.tenant_id = one.id AND outbox.batch_id = ledger_entry.batch_id)
        GROUP BY trace_id, environment ORDER BY min(charge_period_start);
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
-- The dearest of a day and what a day's cost, without reading the rows.
CREATE INDEX trace_cost_by_cost ON trace_cost (tenant_id, environment, day, billed_cost, trace_id)
    INCLUDE (first_at, calls, unpriced_calls);
