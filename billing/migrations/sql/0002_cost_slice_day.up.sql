-- Days again, by environment and one dimension at a time: what most questions ask for, in a fraction of the rows.

CREATE TABLE cost_slice_day (
    tenant_id bigint NOT NULL,
    slice text NOT NULL,
    day date NOT NULL,
    environment text NOT NULL,
    feature text NOT NULL,
    cost_center text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    operation text NOT NULL,
    service_tier text NOT NULL,
    api_key_id text NOT NULL,
    calls bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    error_calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    cache_write_1h_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    input_cost numeric(30,12) NOT NULL,
    cache_read_cost numeric(30,12) NOT NULL,
    cache_write_cost numeric(30,12) NOT NULL,
    output_cost numeric(30,12) NOT NULL,
    other_cost numeric(30,12) NOT NULL,
    billed_cost numeric(30,12) NOT NULL,
    list_cost numeric(30,12) NOT NULL,
    saved_cost numeric(30,12) NOT NULL,
    reported_cost numeric(30,12) NOT NULL,
    PRIMARY KEY (tenant_id, slice, day, environment, feature, cost_center, provider, model, operation, service_tier,
                 api_key_id)
) WITH (fillfactor = 70);

SELECT protect_tenant_table('cost_slice_day');
GRANT SELECT, INSERT, UPDATE, DELETE ON cost_slice_day TO tokenledger_app;
GRANT SELECT ON cost_slice_day TO tokenledger_reader;

-- What was rolled up before. Row security binds the owner too, so one tenant after the other.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('app.tenant_id', one.id::text, true);
        INSERT INTO cost_slice_day
        SELECT tenant_id, sliced.slice, day, environment, sliced.feature, sliced.cost_center, sliced.provider,
               sliced.model, sliced.operation, sliced.service_tier, sliced.api_key_id, sum(calls), sum(unpriced_calls),
               sum(error_calls), sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens),
               sum(cache_write_1h_tokens), sum(output_tokens), sum(reasoning_tokens), sum(input_cost),
               sum(cache_read_cost), sum(cache_write_cost), sum(output_cost), sum(other_cost), sum(billed_cost),
               sum(list_cost), sum(saved_cost), sum(reported_cost)
        FROM cost_day CROSS JOIN LATERAL (VALUES
            ('total', '', '', '', '', '', '', ''),
            ('operation', '', '', '', '', operation, service_tier, ''),
            ('key', '', '', '', '', '', '', api_key_id),
            ('cost_center', '', cost_center, '', '', '', '', ''),
            ('provider', '', '', provider, '', '', '', ''),
            ('feature', feature, '', '', '', '', '', ''),
            ('model', '', '', provider, model, '', '', '')) AS sliced (
                slice, feature, cost_center, provider, model, operation, service_tier, api_key_id)
        WHERE tenant_id = one.id
        GROUP BY tenant_id, sliced.slice, day, environment, sliced.feature, sliced.cost_center, sliced.provider,
                 sliced.model, sliced.operation, sliced.service_tier, sliced.api_key_id;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
