-- An entry's corrections, without reading the ledger for them. Usage corrects nothing, so booking does not pay for it.
CREATE INDEX entry_by_corrected ON ledger_entry (tenant_id, corrects) WHERE corrects IS NOT NULL;
