DROP FUNCTION ensure_partition(timestamptz);
DROP POLICY tenant ON person; DROP POLICY reader ON person;
DROP POLICY tenant ON rejected_event; DROP POLICY reader ON rejected_event;
DROP POLICY tenant ON event_key; DROP POLICY reader ON event_key;
DROP POLICY tenant ON ledger_batch; DROP POLICY reader ON ledger_batch;
DROP POLICY tenant ON ledger_entry; DROP POLICY reader ON ledger_entry;
DROP FUNCTION protect_tenant_table(regclass);
DROP FUNCTION refuse_change() CASCADE;
REVOKE ALL ON ledger_entry, ledger_batch, event_key, rejected_event, person, outbox
    FROM tokenledger_app, tokenledger_reader;
