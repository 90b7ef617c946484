ALTER TABLE ledger_entry DROP CONSTRAINT entry_kind_known;
ALTER TABLE ledger_entry ADD CONSTRAINT entry_kind_known CHECK (
    kind IN ('usage', 'fee', 'rating', 'correction', 'credit', 'admin_act'));
