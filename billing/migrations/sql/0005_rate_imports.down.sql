DROP TABLE rate_ending, rate_upload;
DELETE FROM rate_job WHERE kind = 'projection';
DELETE FROM rate_act WHERE act IN ('ending_asked', 'ending_withdrawn', 'ended');
ALTER TABLE rate_act
    DROP CONSTRAINT rate_act_known,
    ADD CONSTRAINT rate_act_known CHECK (act IN (
        'drafted', 'edited', 'submitted', 'commented', 'returned', 'withdrawn', 'approved', 'published',
        'rerating_started', 'rerating_paused', 'rerating_resumed', 'rerating_cancelled', 'rerating_finished'));
ALTER TABLE rate_job
    DROP CONSTRAINT rate_job_kind_known,
    ADD CONSTRAINT rate_job_kind_known CHECK (kind IN ('preview', 'rerating'));
