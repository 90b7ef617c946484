-- Histograms by few dimensions, of days as well as of weeks, and of tokens as well as of cost: a page about three months
-- read the days beside the weeks model by model.

DROP TABLE cost_histogram_week;
CREATE TABLE histogram_slice (
    tenant_id bigint NOT NULL,
    slice text NOT NULL,
    span text NOT NULL CONSTRAINT histogram_slice_span CHECK (span IN ('day', 'week')),
    measure text NOT NULL,
    day date NOT NULL,
    environment text NOT NULL,
    feature text NOT NULL,
    model text NOT NULL,
    buckets smallint[] NOT NULL,
    calls bigint[] NOT NULL,
    CONSTRAINT histogram_slice_counts_each_bucket CHECK (cardinality(buckets) = cardinality(calls))
) WITH (fillfactor = 70);

SELECT protect_tenant_table('histogram_slice');
GRANT SELECT, INSERT, UPDATE, DELETE ON histogram_slice TO tokenledger_app;
GRANT SELECT ON histogram_slice TO tokenledger_reader;

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
        INSERT INTO histogram_slice (tenant_id, slice, span, day, measure, environment, feature, model, buckets, calls)
        SELECT one.id, slice, span, first_day, measure, environment, feature, model, counted.buckets, counted.calls
        FROM (SELECT CASE grouping(feature, model) WHEN 3 THEN 'total' WHEN 1 THEN 'feature' WHEN 2 THEN 'model' END
                         AS slice,
                     CASE grouping(week) WHEN 0 THEN 'week' ELSE 'day' END AS span, coalesce(week, day) AS first_day,
                     measure, environment, coalesce(feature, '') AS feature, coalesce(model, '') AS model,
                     array_agg(bucket) AS buckets, array_agg(calls) AS calls
              FROM (SELECT day, date_trunc('week', day::timestamp)::date AS week, measure, environment, feature, model,
                           unnest(buckets) AS bucket, unnest(calls) AS calls
                    FROM histogram
                    WHERE tenant_id = one.id AND measure IN ('billed_cost', 'input_tokens', 'output_tokens')) AS call
              GROUP BY measure, environment,
                       GROUPING SETS ((day), (week), (day, feature), (week, feature), (week, model))
              HAVING measure = 'billed_cost' OR grouping(feature) = 0) AS grouped
        CROSS JOIN LATERAL (
            SELECT array_agg(bucket) AS buckets, array_agg(calls) AS calls
            FROM (SELECT bucket, sum(calls)::bigint AS calls
                  FROM unnest(grouped.buckets, grouped.calls) AS call (bucket, calls)
                  GROUP BY bucket ORDER BY bucket) AS count) AS counted
        ORDER BY slice, span, measure, first_day;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
ALTER TABLE histogram_slice ADD PRIMARY KEY (tenant_id, slice, span, measure, day, environment, feature, model);
