-- What a call costs, by week: months are asked for by few dimensions, and have a fraction of the days' buckets.

CREATE TABLE cost_histogram_week (
    tenant_id bigint NOT NULL,
    slice text NOT NULL,
    week date NOT NULL,
    environment text NOT NULL,
    feature text NOT NULL,
    model text NOT NULL,
    buckets smallint[] NOT NULL,
    calls bigint[] NOT NULL,
    CONSTRAINT cost_histogram_week_counts_each_bucket CHECK (cardinality(buckets) = cardinality(calls))
) WITH (fillfactor = 70);

SELECT protect_tenant_table('cost_histogram_week');
GRANT SELECT, INSERT, UPDATE, DELETE ON cost_histogram_week TO tokenledger_app;
GRANT SELECT ON cost_histogram_week TO tokenledger_reader;

-- What was rolled up before, in the order in which it is read. Nothing is added to days meanwhile, lest it be left out.
-- Row security binds the owner too, so one tenant after the other.
LOCK TABLE histogram IN SHARE MODE;
SET LOCAL work_mem = '64MB';
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('app.tenant_id', one.id::text, true);
        INSERT INTO cost_histogram_week
        SELECT one.id, slice, first_day, environment, feature, model, counted.buckets, counted.calls
        FROM (SELECT CASE grouping(feature, model)
                          WHEN 3 THEN 'total' WHEN 1 THEN 'feature' WHEN 2 THEN 'model' END AS slice,
                     first_day, environment, coalesce(feature, '') AS feature, coalesce(model, '') AS model,
                     array_agg(bucket) AS buckets, array_agg(calls) AS calls
              FROM (SELECT date_trunc('week', day::timestamp)::date AS first_day, environment, feature, model,
                           unnest(buckets) AS bucket, unnest(calls) AS calls
                    FROM histogram WHERE tenant_id = one.id AND measure = 'billed_cost') AS call
              GROUP BY first_day, environment, GROUPING SETS ((), (feature), (model))) AS grouped
        CROSS JOIN LATERAL (
            SELECT array_agg(bucket) AS buckets, array_agg(calls) AS calls
            FROM (SELECT bucket, sum(calls)::bigint AS calls
                  FROM unnest(grouped.buckets, grouped.calls) AS call (bucket, calls)
                  GROUP BY bucket ORDER BY bucket) AS count) AS counted
        ORDER BY slice, first_day;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
ALTER TABLE cost_histogram_week ADD PRIMARY KEY (tenant_id, slice, week, environment, feature, model);
