-- What budgets answered to those who asked before a call, and what was reserved while Redis was away.

-- counter: which set of counts it was; a Redis that was emptied begins another, so a fold replaces and never adds.
CREATE TABLE quota_decision_hour (
    tenant_id bigint NOT NULL,
    budget_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    decision text NOT NULL,
    counter text NOT NULL,
    checks bigint NOT NULL,
    PRIMARY KEY (tenant_id, budget_id, hour, decision, counter),
    CONSTRAINT quota_decision_known CHECK (decision IN ('allow', 'warn', 'throttle', 'deny')),
    CONSTRAINT quota_decision_on_the_hour CHECK (date_trunc('hour', hour, 'UTC') = hour),
    CONSTRAINT quota_decision_counts CHECK (checks > 0)
) WITH (fillfactor = 70);

CREATE TABLE quota_hold (
    tenant_id bigint NOT NULL,
    id text NOT NULL,
    budget_ids bigint[] NOT NULL,
    amount numeric(24,9) NOT NULL,
    decision text NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT quota_hold_is_positive CHECK (amount > 0)
);
CREATE INDEX quota_hold_by_end ON quota_hold (tenant_id, expires_at);

SELECT protect_tenant_table(t) FROM unnest(ARRAY['quota_decision_hour', 'quota_hold']::regclass[]) AS t;

GRANT SELECT, INSERT, UPDATE ON quota_decision_hour TO tokenledger_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_hold TO tokenledger_app;
GRANT SELECT ON quota_decision_hour, quota_hold TO tokenledger_reader;
