-- Traces: each span's place and what became of it, so that a call counts once across requests; kept for 30 days.

CREATE TABLE trace (
    tenant_id bigint NOT NULL,
    trace_id text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    has_call boolean NOT NULL,
    is_waiting boolean NOT NULL,
    PRIMARY KEY (tenant_id, trace_id)
) WITH (fillfactor = 80);
CREATE INDEX trace_by_last_seen ON trace (tenant_id, last_seen_at);
-- Whose turn it is to be settled: few rows, whatever the table holds.
CREATE INDEX trace_waiting ON trace (last_seen_at) WHERE is_waiting;

CREATE TABLE span (
    tenant_id bigint NOT NULL,
    trace_id text NOT NULL,
    span_id text NOT NULL,
    parent_span_id text NOT NULL,
    received_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    duration_us bigint NOT NULL,
    name text NOT NULL,
    operation text NOT NULL,
    service text NOT NULL,
    is_failed boolean NOT NULL,
    has_usage boolean NOT NULL,
    state text NOT NULL,
    entry_id text NOT NULL,
    api_key_id text NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (tenant_id, trace_id, span_id),
    CONSTRAINT span_state_known CHECK (state IN ('other', 'booked', 'waiting', 'inside', 'refused')),
    CONSTRAINT span_waits_with_its_event CHECK ((state = 'waiting') = (event <> ''))
);

SELECT protect_tenant_table(t) FROM unnest(ARRAY['trace', 'span']::regclass[]) AS t;
GRANT SELECT, INSERT, UPDATE, DELETE ON trace, span TO tokenledger_app;
GRANT SELECT ON trace, span TO tokenledger_reader;
