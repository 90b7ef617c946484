-- What the traces that began on a day add up to: ninety days of a large tenant have a million of them.

CREATE TABLE trace_day (
    tenant_id bigint NOT NULL,
    environment text NOT NULL,
    day date NOT NULL,
    traces bigint NOT NULL,
    calls bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    billed_cost numeric(30,12) NOT NULL,
    PRIMARY KEY (tenant_id, environment, day)
) WITH (fillfactor = 70);

SELECT protect_tenant_table('trace_day');
GRANT SELECT, INSERT, UPDATE, DELETE ON trace_day TO tokenledger_app;
GRANT SELECT ON trace_day TO tokenledger_reader;

-- What was rolled up before. Nothing is added to traces meanwhile, lest it be left out. Row security binds the owner
-- too, so one tenant after the other.
LOCK TABLE trace_cost IN SHARE MODE;
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('app.tenant_id', one.id::text, true);
        INSERT INTO trace_day
        SELECT one.id, environment, day, count(*), sum(calls), sum(unpriced_calls), sum(billed_cost)
        FROM trace_cost WHERE tenant_id = one.id GROUP BY environment, day;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
