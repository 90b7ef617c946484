ALTER TABLE tenant DROP COLUMN fiscal_month;
