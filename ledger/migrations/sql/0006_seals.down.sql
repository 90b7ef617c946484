DELETE FROM outbox WHERE topic = 'seal';
DROP TRIGGER refuse_foreign_work ON outbox;
DROP FUNCTION refuse_foreign_work();
REVOKE ALL ON ledger_batch, outbox FROM tokenledger_sealer;
REVOKE UPDATE (tries, not_before, last_error) ON outbox FROM tokenledger_sealer;
DROP TABLE seal_tree, seal_leaf, seal_node, checkpoint, seal_alarm, log_leaf, log_node, log_head, signing_key;
DROP FUNCTION make_append_only(regclass);
