-- Views that people named: a page and its query, no figures.

CREATE TABLE saved_view (
    tenant_id bigint NOT NULL,
    id uuid NOT NULL,
    owner_id bigint NOT NULL,
    is_operators boolean NOT NULL,
    is_shared boolean NOT NULL,
    name text NOT NULL,
    page text NOT NULL,
    query text NOT NULL,
    saved_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT saved_view_name_once UNIQUE (tenant_id, owner_id, page, name),
    CONSTRAINT saved_view_is_short CHECK (length(name) BETWEEN 1 AND 80 AND length(query) <= 4000)
);

SELECT protect_tenant_table('saved_view');

GRANT SELECT, INSERT, UPDATE, DELETE ON saved_view TO tokenledger_app;
