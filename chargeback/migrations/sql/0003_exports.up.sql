-- Where days of the ledger are sent as files, and how each day fares: one row a target and day, however many workers.

CREATE TABLE export_target (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    kind text NOT NULL,
    place text NOT NULL,
    region text NOT NULL,
    endpoint text NOT NULL,
    is_path_style boolean NOT NULL,
    first_day date NOT NULL,
    is_enabled boolean NOT NULL,
    settings bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT export_target_kind_known CHECK (kind IN ('folder', 's3')),
    CONSTRAINT export_target_names_a_place CHECK (name <> '' AND place <> '' AND created_by <> ''),
    CONSTRAINT export_target_folder_has_no_endpoint CHECK (kind = 's3' OR (region = '' AND endpoint = '')),
    CONSTRAINT export_target_removed_forgets CHECK (removed_at IS NULL OR settings = ''::bytea)
);
CREATE UNIQUE INDEX export_target_name_once ON export_target (tenant_id, name) WHERE removed_at IS NULL;

CREATE TABLE export_run (
    tenant_id bigint NOT NULL,
    target_id bigint NOT NULL,
    day date NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    retried_from integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    last_error text NOT NULL DEFAULT '',
    finished_at timestamptz,
    rows bigint,
    bytes bigint,
    billed_cost numeric(30,12),
    content_sha256 text NOT NULL DEFAULT '',
    manifest_sha256 text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, target_id, day),
    CONSTRAINT export_run_of_target FOREIGN KEY (tenant_id, target_id) REFERENCES export_target (tenant_id, id),
    CONSTRAINT export_run_state_known CHECK (state IN ('waiting', 'sent', 'dead', 'changed')),
    CONSTRAINT export_run_ends_at_a_time CHECK ((state = 'waiting') = (finished_at IS NULL)),
    CONSTRAINT export_run_sent_is_known CHECK (
        state <> 'sent' OR (rows IS NOT NULL AND manifest_sha256 ~ '^[0-9a-f]{64}$' AND last_error = ''))
);
CREATE INDEX export_run_due ON export_run (tenant_id, due_at) WHERE state = 'waiting';

SELECT protect_tenant_table('export_target');
SELECT protect_tenant_table('export_run');

GRANT SELECT, INSERT, UPDATE ON export_target, export_run TO tokenledger_app;
GRANT SELECT ON export_run TO tokenledger_reader;
