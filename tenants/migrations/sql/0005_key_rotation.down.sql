CREATE OR REPLACE FUNCTION refuse_third_live_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('api_key ' || NEW.tenant_id || ' ' || NEW.name, 0));
    IF (SELECT count(*) FROM api_key
        WHERE tenant_id = NEW.tenant_id AND name = NEW.name AND revoked_at IS NULL) >= 2 THEN
        RAISE EXCEPTION 'two live keys are named "%" already', NEW.name
            USING ERRCODE = '23505', CONSTRAINT = 'api_key_two_live', HINT = 'Revoke one of them first.';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION list_live_keys(wanted text[])
    RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.key_id FROM api_key k WHERE k.key_id = ANY(wanted) AND k.revoked_at IS NULL
$$;

CREATE OR REPLACE FUNCTION find_api_key(wanted text)
    RETURNS TABLE (tenant_id bigint, slug text, timezone text, is_operator boolean, key_id text, name text,
                   secret_hash bytea, scopes text[], revoked_at timestamptz, tenant_limits bigint[],
                   key_limits bigint[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.tenant_id, t.slug, t.timezone, t.is_operator, k.key_id, k.name, k.secret_hash, k.scopes, k.revoked_at,
           ARRAY[t.requests_per_second, t.bytes_per_second, t.events_per_second],
           ARRAY[k.requests_per_second, k.bytes_per_second, k.events_per_second]
    FROM api_key k JOIN tenant t ON t.id = k.tenant_id
    WHERE k.key_id = wanted
$$;

ALTER TABLE api_key DROP COLUMN created_by;
