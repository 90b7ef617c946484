-- A trace's entries, without reading the ledger for them. Entries that name no trace do not pay for it.
CREATE INDEX entry_by_trace ON ledger_entry (tenant_id, trace_id) WHERE trace_id <> '';
