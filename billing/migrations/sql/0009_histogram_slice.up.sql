-- The histograms of days again, and of weeks, by few dimensions: what percentiles are asked for by, in a fraction of the
-- buckets.

CREATE TABLE histogram_slice (
    tenant_id bigint NOT NULL,
    slice text NOT NULL,
    span text NOT NULL,
    day date NOT NULL,
    environment text NOT NULL,
    feature text NOT NULL,
    model text NOT NULL,
    measure text NOT NULL,
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
        INSERT INTO histogram_slice
        SELECT one.id, slice, span, first_day, environment, feature, model, measure,
               array_agg(bucket ORDER BY bucket), array_agg(calls ORDER BY bucket)
        FROM (SELECT CASE grouping(feature, model)
                          WHEN 3 THEN 'total'
                          WHEN 1 THEN 'feature'
                          WHEN 2 THEN 'model'
                          WHEN 0 THEN 'feature_model' END AS slice,
                     CASE grouping(day) WHEN 0 THEN 'day' ELSE 'week' END AS span, coalesce(day, week) AS first_day,
                     environment, coalesce(feature, '') AS feature, coalesce(model, '') AS model, measure, bucket,
                     sum(calls)::bigint AS calls
              FROM (SELECT day, date_trunc('week', day::timestamp)::date AS week, environment, feature, model, measure,
                           unnest(buckets) AS bucket, unnest(calls) AS calls
                    FROM histogram WHERE tenant_id = one.id) AS count
              GROUP BY environment, measure, bucket, GROUPING SETS ((day), (week)),
                       GROUPING SETS ((), (feature), (model), (feature, model))
              HAVING grouping(day) = 1 OR grouping(feature, model) <> 0) AS counted
        GROUP BY slice, span, first_day, environment, feature, model, measure
        ORDER BY slice, span, first_day;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
ALTER TABLE histogram_slice ADD PRIMARY KEY (tenant_id, slice, span, day, environment, feature, model, measure);
