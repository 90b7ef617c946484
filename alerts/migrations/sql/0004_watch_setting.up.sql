-- From where on a tenant wants to be told what is out of the ordinary: what differs from the defaults, and nothing else.

CREATE TABLE watch_setting (
    tenant_id bigint NOT NULL,
    thresholds jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id),
    CONSTRAINT watch_setting_is_an_object CHECK (jsonb_typeof(thresholds) = 'object')
);

SELECT protect_tenant_table('watch_setting');

GRANT SELECT, INSERT, UPDATE ON watch_setting TO tokenledger_app;
GRANT SELECT ON watch_setting TO tokenledger_reader;
