-- Days again, and weeks, by the environment and few dimensions: what questions ask for, in a fraction of the rows.

CREATE TABLE cost_slice (
    tenant_id bigint NOT NULL,
    slice text NOT NULL,
    span text NOT NULL,
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
    reported_cost numeric(30,12) NOT NULL
) WITH (fillfactor = 70);

SELECT protect_tenant_table('cost_slice');
GRANT SELECT, INSERT, UPDATE, DELETE ON cost_slice TO tokenledger_app;
GRANT SELECT ON cost_slice TO tokenledger_reader;

-- What was rolled up before, in the order in which it is read. Nothing is added to days meanwhile, lest it be left out.
-- Row security binds the owner too, so one tenant after the other.
LOCK TABLE cost_day IN SHARE MODE;
SET LOCAL work_mem = '64MB';
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('app.tenant_id', one.id::text, true);
        INSERT INTO cost_slice
        SELECT tenant_id,
               CASE grouping(feature, cost_center, provider, model, operation, service_tier, api_key_id)
                    WHEN 127 THEN 'total'
                    WHEN 121 THEN 'operation'
                    WHEN 111 THEN 'provider'
                    WHEN 95 THEN 'cost_center'
                    WHEN 126 THEN 'key'
                    WHEN 63 THEN 'feature'
                    WHEN 30 THEN 'owner'
                    WHEN 103 THEN 'model'
                    WHEN 71 THEN 'cost_center_model'
                    WHEN 39 THEN 'feature_model'
                    WHEN 0 THEN 'all' END AS slice,
               CASE grouping(day) WHEN 0 THEN 'day' ELSE 'week' END AS span, coalesce(day, week) AS first_day,
               environment, coalesce(feature, ''), coalesce(cost_center, ''), coalesce(provider, ''),
               coalesce(model, ''), coalesce(operation, ''), coalesce(service_tier, ''), coalesce(api_key_id, ''),
               sum(calls), sum(unpriced_calls), sum(error_calls), sum(input_tokens), sum(cache_read_tokens),
               sum(cache_write_tokens), sum(cache_write_1h_tokens), sum(output_tokens), sum(reasoning_tokens),
               sum(input_cost), sum(cache_read_cost), sum(cache_write_cost), sum(output_cost), sum(other_cost),
               sum(billed_cost), sum(list_cost), sum(saved_cost), sum(reported_cost)
        FROM (SELECT *, date_trunc('week', day::timestamp)::date AS week FROM cost_day WHERE tenant_id = one.id) AS cost
        GROUP BY tenant_id, environment, GROUPING SETS ((day), (week)), GROUPING SETS (
            (), (operation, service_tier), (provider), (cost_center), (api_key_id), (feature),
            (feature, cost_center, api_key_id), (provider, model), (cost_center, provider, model),
            (feature, provider, model),
            (feature, cost_center, provider, model, operation, service_tier, api_key_id))
        HAVING grouping(day) = 1
            OR grouping(feature, cost_center, provider, model, operation, service_tier, api_key_id) <> 0
        ORDER BY slice, span, first_day;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
ALTER TABLE cost_slice ADD PRIMARY KEY (tenant_id, slice, span, day, environment, feature, cost_center, provider, model,
                                        operation, service_tier, api_key_id);
