DROP TABLE rate_job, rate_act;
DROP INDEX rate_under_way;
REVOKE UPDATE (provider, model, match, tenant_id, service_tier, region, time_window, currency, document, content_hash,
               authors, submitted_by, submitted_at, replaces_id) ON rate_version FROM tokenledger_app;
CREATE OR REPLACE FUNCTION refuse_rate_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('published', 'superseded') AND (
        NEW.state = 'draft' OR NEW.state = 'in_review'
        OR NOT (isempty(NEW.effective) OR (lower(NEW.effective) = lower(OLD.effective)
                                           AND NEW.effective <@ OLD.effective))) THEN
        RAISE EXCEPTION 'a published rate is closed, never edited'
            USING ERRCODE = '42501', HINT = 'Publish a new version.';
    END IF;
    RETURN NEW;
END $$;
ALTER TABLE rate_version
    DROP CONSTRAINT rate_in_review_says_by_whom,
    DROP COLUMN authors, DROP COLUMN submitted_by, DROP COLUMN submitted_at, DROP COLUMN replaces_id,
    DROP CONSTRAINT rate_state_known,
    ADD CONSTRAINT rate_state_known CHECK (state IN ('draft', 'in_review', 'published', 'superseded'));
