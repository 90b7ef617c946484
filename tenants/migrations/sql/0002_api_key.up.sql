-- Keys: a key's tenant is unknown until the key is found, so finding it is one function of the owner's.
ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON api_key
    USING (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')::bigint));
-- The function below runs as the owner, to whom FORCE applies as well.
CREATE POLICY find_key ON api_key FOR SELECT TO tokenledger_owner USING (true);
CREATE INDEX api_key_by_key_id ON api_key (key_id);

CREATE FUNCTION find_api_key(wanted text)
    RETURNS TABLE (tenant_id bigint, slug text, timezone text, is_operator boolean, key_id text, name text,
                   secret_hash bytea, scopes text[], revoked_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.tenant_id, t.slug, t.timezone, t.is_operator, k.key_id, k.name, k.secret_hash, k.scopes, k.revoked_at
    FROM api_key k JOIN tenant t ON t.id = k.tenant_id
    WHERE k.key_id = wanted
$$;
REVOKE ALL ON FUNCTION find_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text) TO tokenledger_app;

-- Which of these keys are not revoked, whosesoever they are: what a booking confirms, in its own transaction.
CREATE FUNCTION list_live_keys(wanted text[])
    RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.key_id FROM api_key k WHERE k.key_id = ANY(wanted) AND k.revoked_at IS NULL
$$;
REVOKE ALL ON FUNCTION list_live_keys(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_live_keys(text[]) TO tokenledger_app;

-- At most two live keys of one name in a tenant: the old and the new one of a rotation.
CREATE FUNCTION refuse_third_live_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('api_key ' || NEW.tenant_id || ' ' || NEW.name, 0));
    IF (SELECT count(*) FROM api_key
        WHERE tenant_id = NEW.tenant_id AND name = NEW.name AND revoked_at IS NULL) >= 2 THEN
        RAISE EXCEPTION 'two live keys are named "%" already', NEW.name
            USING ERRCODE = '23505', CONSTRAINT = 'api_key_two_live', HINT = 'Revoke one of them first.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER api_key_two_live BEFORE INSERT ON api_key FOR EACH ROW EXECUTE FUNCTION refuse_third_live_key();

-- The operator's own tenant: keys and administrative acts that belong to no customer.
INSERT INTO tenant (slug, name, timezone, is_operator, is_demo, created_at)
    VALUES ('operator', 'Operator', 'UTC', true, false, now());

GRANT SELECT, INSERT ON tenant TO tokenledger_app;
GRANT UPDATE (name, timezone) ON tenant TO tokenledger_app;
GRANT SELECT ON tenant TO tokenledger_reader;
GRANT SELECT, INSERT, UPDATE ON tenants_user TO tokenledger_app;
GRANT SELECT, INSERT ON api_key TO tokenledger_app;
GRANT UPDATE (revoked_at) ON api_key TO tokenledger_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO tokenledger_app;
