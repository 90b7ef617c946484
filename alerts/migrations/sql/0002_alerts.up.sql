-- What was found, to whom it is told, and how each message fared. One row an episode: whoever finds it again, or at the
-- same moment, adds none. The row, its first event and its deliveries stand or fall together.

CREATE TABLE alert (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    rule text NOT NULL,
    scope jsonb NOT NULL,
    scope_hash bytea NOT NULL,
    episode text NOT NULL,
    severity text NOT NULL,
    state text NOT NULL,
    title text NOT NULL,
    facts jsonb NOT NULL,
    impact numeric(30,12),
    told_impact numeric(30,12),
    told_at timestamptz NOT NULL,
    budget_id bigint,
    owner text NOT NULL,
    channel_ids bigint[] NOT NULL,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    snoozed_until timestamptz,
    resolved_at timestamptz,
    feedback text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_once_an_episode UNIQUE (tenant_id, rule, scope_hash, episode),
    CONSTRAINT alert_of_budget FOREIGN KEY (tenant_id, budget_id) REFERENCES budget (tenant_id, id),
    CONSTRAINT alert_severity_known CHECK (severity IN ('info', 'warning', 'high', 'critical')),
    CONSTRAINT alert_state_known CHECK (state IN ('open', 'acknowledged', 'snoozed', 'resolved')),
    CONSTRAINT alert_feedback_known CHECK (feedback IN ('', 'real', 'planned', 'wrong')),
    CONSTRAINT alert_names_rule_and_episode CHECK (rule <> '' AND episode <> '' AND title <> ''),
    CONSTRAINT alert_snoozed_until_a_time CHECK ((state = 'snoozed') = (snoozed_until IS NOT NULL)),
    CONSTRAINT alert_resolved_at_a_time CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
CREATE INDEX alert_by_time ON alert (tenant_id, opened_at, id);
CREATE INDEX alert_standing ON alert (tenant_id, rule) WHERE state <> 'resolved';
CREATE INDEX alert_by_budget ON alert (tenant_id, budget_id) WHERE budget_id IS NOT NULL;

CREATE TABLE alert_event (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    alert_id bigint NOT NULL,
    event text NOT NULL,
    happened_at timestamptz NOT NULL,
    actor text NOT NULL,
    comment text NOT NULL,
    facts jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_event_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id),
    CONSTRAINT alert_event_known CHECK (
        event IN ('opened', 'grown', 'acknowledged', 'snoozed', 'woken', 'resolved', 'feedback'))
);
CREATE INDEX alert_event_by_alert ON alert_event (tenant_id, alert_id, id);

CREATE TABLE alert_channel (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    name text NOT NULL,
    target text NOT NULL,
    settings bytea NOT NULL,
    owner text NOT NULL,
    scope jsonb NOT NULL,
    severity_min text NOT NULL,
    quiet_from time,
    quiet_to time,
    digest_hour smallint,
    is_enabled boolean NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_channel_kind_known CHECK (kind IN ('email', 'slack', 'teams', 'pagerduty', 'webhook')),
    CONSTRAINT alert_channel_severity_known CHECK (severity_min IN ('info', 'warning', 'high', 'critical')),
    CONSTRAINT alert_channel_quiet_both_or_neither CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)),
    CONSTRAINT alert_channel_digest_at_an_hour CHECK (digest_hour BETWEEN 0 AND 23),
    CONSTRAINT alert_channel_named CHECK (name <> ''),
    CONSTRAINT alert_channel_removed_keeps_no_settings CHECK (removed_at IS NULL OR (NOT is_enabled AND settings = ''))
);
CREATE UNIQUE INDEX alert_channel_name_once ON alert_channel (tenant_id, name) WHERE removed_at IS NULL;

-- The id is made from what is told to whom, so that the same is never told under two.
CREATE TABLE alert_delivery (
    tenant_id bigint NOT NULL,
    id uuid NOT NULL,
    channel_id bigint NOT NULL,
    alert_id bigint,
    event_id bigint,
    digest_id uuid,
    kind text NOT NULL,
    state text NOT NULL,
    held_for text NOT NULL,
    queued_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    finished_at timestamptz,
    attempt_count integer NOT NULL,
    retried_from integer NOT NULL,
    last_error text NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_delivery_by_channel FOREIGN KEY (tenant_id, channel_id) REFERENCES alert_channel (tenant_id, id),
    CONSTRAINT alert_delivery_of_alert FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, id),
    CONSTRAINT alert_delivery_of_event FOREIGN KEY (tenant_id, event_id) REFERENCES alert_event (tenant_id, id),
    CONSTRAINT alert_delivery_in_digest FOREIGN KEY (tenant_id, digest_id) REFERENCES alert_delivery (tenant_id, id),
    CONSTRAINT alert_delivery_kind_known CHECK (
        kind IN ('opened', 'grown', 'acknowledged', 'resolved', 'digest', 'test')),
    CONSTRAINT alert_delivery_state_known CHECK (
        state IN ('waiting', 'delivered', 'collected', 'dead', 'withheld')),
    CONSTRAINT alert_delivery_held_for_a_reason CHECK (held_for IN ('', 'quiet hours', 'digest')),
    CONSTRAINT alert_delivery_of_an_event_or_none CHECK (
        (alert_id IS NULL) = (kind IN ('digest', 'test')) AND (alert_id IS NULL) = (event_id IS NULL)),
    CONSTRAINT alert_delivery_collected_into_a_digest CHECK ((state = 'collected') = (digest_id IS NOT NULL)),
    CONSTRAINT alert_delivery_finished_or_waiting CHECK ((state = 'waiting') = (finished_at IS NULL)),
    CONSTRAINT alert_delivery_counts CHECK (attempt_count >= retried_from AND retried_from >= 0)
);
CREATE INDEX alert_delivery_waiting ON alert_delivery (tenant_id, due_at) WHERE state = 'waiting';
CREATE INDEX alert_delivery_by_alert ON alert_delivery (tenant_id, alert_id, channel_id);
CREATE INDEX alert_delivery_by_time ON alert_delivery (tenant_id, queued_at, id);

CREATE TABLE alert_attempt (
    tenant_id bigint NOT NULL,
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer,
    outcome text NOT NULL,
    status integer,
    detail text NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id, number),
    CONSTRAINT alert_attempt_of_delivery FOREIGN KEY (tenant_id, delivery_id)
        REFERENCES alert_delivery (tenant_id, id),
    CONSTRAINT alert_attempt_outcome_known CHECK (outcome IN ('started', 'delivered', 'failed', 'refused', 'lost'))
);

SELECT protect_tenant_table(t) FROM unnest(
    ARRAY['alert', 'alert_event', 'alert_channel', 'alert_delivery', 'alert_attempt']::regclass[]) AS t;

-- Nothing of it is ever deleted. The reader sees whose turn it is; of channels, which hold secrets, nothing.
GRANT SELECT, INSERT, UPDATE ON alert, alert_channel, alert_delivery, alert_attempt TO tokenledger_app;
GRANT SELECT, INSERT ON alert_event TO tokenledger_app;
GRANT SELECT ON alert, alert_delivery TO tokenledger_reader;
