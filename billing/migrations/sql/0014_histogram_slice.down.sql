-- Empty: `manage.py reconcile --rebuild` fills it.

DROP TABLE histogram_slice;
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

ALTER TABLE cost_histogram_week ADD PRIMARY KEY (tenant_id, slice, week, environment, feature, model);
