-- An amount that is no use of anything: what a bill or a dispute makes up for, beside what is given back (`credit`).

ALTER TABLE ledger_entry DROP CONSTRAINT entry_kind_known;
ALTER TABLE ledger_entry ADD CONSTRAINT entry_kind_known CHECK (
    kind IN ('usage', 'fee', 'rating', 'correction', 'credit', 'adjustment', 'admin_act'));
