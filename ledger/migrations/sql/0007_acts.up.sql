-- Acts among millions of batches of usage: the administrative log reads these alone.
CREATE INDEX batch_of_an_act ON ledger_batch (tenant_id, batch_id) WHERE kind = 'admin_act';
