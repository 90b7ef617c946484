DROP INDEX entry_by_corrected;
