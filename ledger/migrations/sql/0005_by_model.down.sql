DROP INDEX entry_by_model;
