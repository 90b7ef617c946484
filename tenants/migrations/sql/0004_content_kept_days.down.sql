ALTER TABLE tenant DROP COLUMN content_kept_days;
