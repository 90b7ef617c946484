-- The columns that the version before asked for stay in their places, so that it finds its keys during an upgrade.
DROP FUNCTION find_api_key(text);
CREATE FUNCTION find_api_key(wanted text)
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
REVOKE ALL ON FUNCTION find_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text) TO tokenledger_app;

GRANT UPDATE (requests_per_second, bytes_per_second, events_per_second) ON tenant, api_key TO tokenledger_app;
