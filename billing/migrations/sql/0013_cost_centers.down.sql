DELETE FROM rate_job WHERE kind = 'reallocation';
DROP INDEX reallocation_once, rate_job_by_tenant;
ALTER TABLE rate_job
    DROP CONSTRAINT rate_job_says_of_what,
    DROP CONSTRAINT rate_job_kind_known,
    ADD CONSTRAINT rate_job_kind_known CHECK (kind IN ('preview', 'projection', 'rerating')),
    DROP COLUMN tenant_id,
    DROP COLUMN used_from,
    DROP COLUMN used_to,
    ALTER COLUMN rate_version_id SET NOT NULL;
DROP TABLE mapping_rule, cost_center;
