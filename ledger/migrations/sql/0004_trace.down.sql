DROP INDEX entry_by_trace;
