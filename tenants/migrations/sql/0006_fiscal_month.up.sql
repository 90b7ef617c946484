-- With which month a tenant's fiscal year begins, and so its quarters.
ALTER TABLE tenant ADD COLUMN fiscal_month smallint NOT NULL DEFAULT 1,
    ADD CONSTRAINT tenant_fiscal_month CHECK (fiscal_month BETWEEN 1 AND 12);
GRANT UPDATE (fiscal_month) ON tenant TO tokenledger_app;
