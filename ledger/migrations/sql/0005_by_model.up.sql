-- A model's calls in the order of their use: what a new price touches is counted and re-rated without the others' rows.
CREATE INDEX entry_by_model ON ledger_entry (tenant_id, provider, model, charge_period_start);
