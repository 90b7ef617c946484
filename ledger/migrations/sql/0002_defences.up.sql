-- Append-only by privilege and by trigger; tenants apart by row-level security; partitions by one owner's function.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '42501', HINT = 'Book a correction entry instead.';
END $$;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_entry FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_batch FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON event_key FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_batch FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON event_key FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE ledger_batch ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE event_key ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE ledger_batch ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE event_key ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION protect_tenant_table(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format($policy$CREATE POLICY tenant ON %s
        USING (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')::bigint))$policy$, target);
    EXECUTE format('CREATE POLICY reader ON %s FOR SELECT TO tokenledger_reader USING (true)', target);
END $$;
REVOKE ALL ON FUNCTION protect_tenant_table(regclass) FROM PUBLIC;

SELECT protect_tenant_table(t) FROM unnest(ARRAY['ledger_entry', 'ledger_batch', 'event_key', 'rejected_event',
                                                 'person']::regclass[]) AS t;

-- Only parents are granted: a partition is out of reach by its own name.
GRANT SELECT, INSERT ON ledger_entry, ledger_batch, event_key TO tokenledger_app;
GRANT SELECT, INSERT, DELETE ON rejected_event, person TO tokenledger_app;
GRANT UPDATE (replayed_at) ON rejected_event TO tokenledger_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO tokenledger_app;
GRANT USAGE ON SEQUENCE outbox_id_seq TO tokenledger_app;
GRANT SELECT ON ledger_entry, ledger_batch, rejected_event, outbox TO tokenledger_reader;

-- Makes the partition of the month that holds `moment`, protected like its parent. A second call does nothing.
CREATE FUNCTION ensure_partition(moment timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    first timestamptz := date_trunc('month', moment, 'UTC');
    name text := 'ledger_entry_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    IF moment NOT BETWEEN now() - interval '40 days' AND now() + interval '200 days' THEN
        RAISE EXCEPTION 'entries are booked now, not at %', moment USING ERRCODE = '22008';
    END IF;
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN name;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partition', 0));
    -- Not to_regclass again: this session remembers that there was no such table, and waiting did not tell it better.
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace) THEN
        RETURN name;
    END IF;
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.ledger_entry FOR VALUES FROM (%L) TO (%L)',
                   name, first, first + interval '1 month');
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, tokenledger_app, tokenledger_reader', name);
    PERFORM public.protect_tenant_table(('public.' || name)::regclass);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER refuse_truncate', name);
    RETURN name;
END $$;
REVOKE ALL ON FUNCTION ensure_partition(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partition(timestamptz) TO tokenledger_app;
