REVOKE UPDATE (requests_per_second, bytes_per_second, events_per_second) ON tenant, api_key FROM tokenledger_app;
DROP FUNCTION find_api_key(text);
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
