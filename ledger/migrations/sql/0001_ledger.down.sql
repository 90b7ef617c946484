DROP TABLE person, rejected_event, outbox, event_key, ledger_entry, ledger_batch;
