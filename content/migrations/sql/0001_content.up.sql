-- Prompts and completions, apart from the ledger: rows here are deleted, rows there never.

CREATE TABLE content (
    tenant_id bigint NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    digest bytea NOT NULL,
    received_at timestamptz NOT NULL,
    kept_until timestamptz NOT NULL,
    api_key_id text NOT NULL,
    redactions jsonb NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (tenant_id, event_source, event_id),
    CONSTRAINT content_digest_once UNIQUE (tenant_id, digest),
    CONSTRAINT content_digest_is_sha256 CHECK (length(digest) = 32)
);
CREATE INDEX content_by_end ON content (tenant_id, kept_until);

CREATE TABLE content_act (
    tenant_id bigint NOT NULL,
    id uuid NOT NULL,
    acted_at timestamptz NOT NULL,
    act text NOT NULL,
    actor text NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT content_act_known CHECK (act IN ('read', 'deleted'))
);
CREATE INDEX content_act_by_event ON content_act (tenant_id, event_source, event_id);

SELECT protect_tenant_table(t) FROM unnest(ARRAY['content', 'content_act']::regclass[]) AS t;

-- The reader, who sees every tenant's figures, is granted neither.
GRANT SELECT, INSERT, DELETE ON content TO tokenledger_app;
GRANT UPDATE (kept_until) ON content TO tokenledger_app;
GRANT SELECT, INSERT ON content_act TO tokenledger_app;
