-- Who gets which report by mail, and each report that was sent.

CREATE TABLE report_subscription (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    cadence text NOT NULL,
    person bigint,
    address text NOT NULL,
    scope jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_by text NOT NULL DEFAULT '',
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT report_subscription_cadence_is_known CHECK (cadence IN ('weekly', 'monthly')),
    -- Once it ended the address is forgotten.
    CONSTRAINT report_subscription_has_a_recipient CHECK (
        CASE WHEN ended_at IS NULL THEN (person IS NULL) = (address <> '') ELSE address = '' END),
    CONSTRAINT report_subscription_says_by_whom CHECK (created_by <> '' AND (ended_at IS NULL) = (ended_by = ''))
);
CREATE UNIQUE INDEX report_subscription_once
    ON report_subscription (tenant_id, cadence, coalesce(person, 0), address, scope) WHERE ended_at IS NULL;

CREATE TABLE report_sent (
    tenant_id bigint NOT NULL,
    id uuid NOT NULL,
    subscription_id bigint NOT NULL,
    first_day date NOT NULL,
    after_day date NOT NULL,
    is_test boolean NOT NULL,
    state text NOT NULL,
    queued_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    status integer,
    last_error text NOT NULL DEFAULT '',
    finished_at timestamptz,
    -- As it was written first: what is tried again says the same. Nothing is kept of it once it is over.
    subject text NOT NULL DEFAULT '',
    body_text text NOT NULL DEFAULT '',
    body_html text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT report_sent_of_subscription FOREIGN KEY (tenant_id, subscription_id)
        REFERENCES report_subscription (tenant_id, id),
    CONSTRAINT report_sent_state_is_known CHECK (state IN ('waiting', 'delivered', 'dead', 'withheld')),
    CONSTRAINT report_sent_is_over_or_waits CHECK ((state = 'waiting') = (finished_at IS NULL)),
    CONSTRAINT report_sent_days_in_order CHECK (first_day < after_day)
);
CREATE UNIQUE INDEX report_sent_once ON report_sent (tenant_id, subscription_id, first_day) WHERE NOT is_test;
CREATE INDEX report_sent_due ON report_sent (tenant_id, due_at) WHERE state = 'waiting';

SELECT protect_tenant_table(t) FROM unnest(ARRAY['report_subscription', 'report_sent']::regclass[]) AS t;

-- The reader, who sees every tenant, sees neither addresses nor what a report says.
GRANT SELECT, INSERT ON report_subscription, report_sent TO tokenledger_app;
GRANT UPDATE (address, ended_by, ended_at) ON report_subscription TO tokenledger_app;
GRANT UPDATE (state, due_at, leased_until, attempts, status, last_error, finished_at, subject, body_text, body_html)
    ON report_sent TO tokenledger_app;
