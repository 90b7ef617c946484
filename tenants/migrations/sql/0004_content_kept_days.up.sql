-- Prompts and completions are kept for this many days; 0: none is, which is the default.
ALTER TABLE tenant ADD COLUMN content_kept_days smallint NOT NULL DEFAULT 0,
    ADD CONSTRAINT tenant_content_kept_days CHECK (content_kept_days BETWEEN 0 AND 400);
GRANT UPDATE (content_kept_days) ON tenant TO tokenledger_app;
