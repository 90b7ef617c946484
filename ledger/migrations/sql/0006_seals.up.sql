-- The trees over batches, their signed heads, and the log of all heads. Only the sealer adds to them; nobody changes them.

CREATE FUNCTION make_append_only(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %s
                    FOR EACH ROW EXECUTE FUNCTION refuse_change()', target);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %s
                    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', target);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_change', target);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_truncate', target);
END $$;
REVOKE ALL ON FUNCTION make_append_only(regclass) FROM PUBLIC;

CREATE TABLE seal_tree (
    tenant_id bigint NOT NULL PRIMARY KEY,
    origin text NOT NULL,
    salt bytea NOT NULL,
    begun_at timestamptz NOT NULL,
    CONSTRAINT tree_salt_is_long CHECK (length(salt) = 32)
);

CREATE TABLE seal_leaf (
    tenant_id bigint NOT NULL,
    leaf_index bigint NOT NULL,
    batch_id uuid NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (tenant_id, leaf_index),
    CONSTRAINT leaf_of_a_batch_once UNIQUE (tenant_id, batch_id),
    CONSTRAINT leaf_index_begins_at_zero CHECK (leaf_index >= 0),
    CONSTRAINT leaf_is_sha256 CHECK (length(leaf) = 32)
);

CREATE TABLE seal_node (
    tenant_id bigint NOT NULL,
    level smallint NOT NULL,
    node_index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, level, node_index),
    CONSTRAINT node_is_above_leaves CHECK (level > 0 AND node_index >= 0),
    CONSTRAINT node_is_sha256 CHECK (length(hash) = 32)
);

CREATE TABLE checkpoint (
    tenant_id bigint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    signed_at timestamptz NOT NULL,
    key_id text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (tenant_id, size),
    CONSTRAINT checkpoint_of_something CHECK (size > 0),
    CONSTRAINT checkpoint_root_is_sha256 CHECK (length(root) = 32)
);

CREATE TABLE seal_alarm (
    tenant_id bigint NOT NULL,
    subject text NOT NULL,
    raised_at timestamptz NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL,
    is_over boolean NOT NULL,
    PRIMARY KEY (tenant_id, subject, raised_at)
);

CREATE TABLE log_leaf (
    log_index bigint NOT NULL PRIMARY KEY,
    tenant_id bigint,
    size bigint,
    key_id text,
    leaf bytea NOT NULL,
    data text NOT NULL,
    CONSTRAINT log_leaf_once UNIQUE (tenant_id, size),
    CONSTRAINT log_key_once UNIQUE (key_id),
    CONSTRAINT log_leaf_is_a_checkpoint_or_a_key CHECK (
        num_nulls(tenant_id, size) IN (0, 2) AND (tenant_id IS NULL) = (key_id IS NOT NULL)),
    CONSTRAINT log_leaf_is_sha256 CHECK (length(leaf) = 32)
);

CREATE TABLE log_node (
    level smallint NOT NULL,
    node_index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (level, node_index),
    CONSTRAINT log_node_is_above_leaves CHECK (level > 0 AND node_index >= 0),
    CONSTRAINT log_node_is_sha256 CHECK (length(hash) = 32)
);

CREATE TABLE log_head (
    size bigint NOT NULL PRIMARY KEY,
    root bytea NOT NULL,
    signed_at timestamptz NOT NULL,
    key_id text NOT NULL,
    note text NOT NULL,
    CONSTRAINT log_root_is_sha256 CHECK (length(root) = 32)
);

CREATE TABLE signing_key (
    key_id text NOT NULL PRIMARY KEY,
    purpose text NOT NULL,
    public_key bytea NOT NULL,
    announced_at timestamptz NOT NULL,
    announcement text NOT NULL,
    CONSTRAINT key_purpose_known CHECK (purpose IN ('receipt', 'seal')),
    CONSTRAINT key_is_ed25519 CHECK (length(public_key) = 32)
);

SELECT make_append_only(t) FROM unnest(ARRAY['seal_tree', 'seal_leaf', 'seal_node', 'checkpoint', 'seal_alarm',
                                             'log_leaf', 'log_node', 'log_head', 'signing_key']::regclass[]) AS t;
SELECT protect_tenant_table(t) FROM unnest(ARRAY['seal_tree', 'seal_leaf', 'seal_node', 'checkpoint',
                                                 'seal_alarm']::regclass[]) AS t;

GRANT SELECT ON seal_tree, seal_leaf, seal_node, checkpoint, seal_alarm, log_leaf, log_node, log_head, signing_key
    TO tokenledger_app, tokenledger_reader, tokenledger_sealer;
GRANT INSERT ON seal_tree, seal_leaf, seal_node, checkpoint, seal_alarm, log_leaf, log_node, log_head, signing_key
    TO tokenledger_sealer;
-- Whoever signs receipts announces the key; the sealer believes no announcement that a known key has not signed.
GRANT INSERT ON signing_key TO tokenledger_app;

GRANT SELECT ON ledger_batch TO tokenledger_sealer;
GRANT SELECT, DELETE ON outbox TO tokenledger_sealer;
GRANT UPDATE (tries, not_before, last_error) ON outbox TO tokenledger_sealer;

-- The outbox is shared; the sealer's part of it is its own topic.
CREATE FUNCTION refuse_foreign_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the sealer may not touch work of topic %', OLD.topic USING ERRCODE = '42501';
END $$;
CREATE TRIGGER refuse_foreign_work BEFORE UPDATE OR DELETE ON outbox FOR EACH ROW
    WHEN (OLD.topic <> 'seal' AND current_user = 'tokenledger_sealer') EXECUTE FUNCTION refuse_foreign_work();

-- Batches whose receipt names their billing periods wait for their seal; older ones cannot be sealed.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT id FROM tenant ORDER BY id LOOP
        PERFORM set_config('app.tenant_id', one.id::text, true);
        INSERT INTO outbox (topic, tenant_id, batch_id, recorded_at, entry_count)
        SELECT 'seal', tenant_id, batch_id, recorded_at, entry_count
        FROM ledger_batch CROSS JOIN translate(split_part(receipt, '.', 2), '-_', '+/') AS payload
        WHERE tenant_id = one.id
          AND convert_from(decode(rpad(payload, (length(payload) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb ->> 'v'
              = 'tokenledger/batch/2'
        ORDER BY recorded_at, batch_id;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
