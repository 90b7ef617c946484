DROP TABLE rate_version, rate_book, model_alias, cost_hour, cost_day, cost_user_hour, calls_minute, histogram,
    intake_tally, intake_hour, job_run;
DROP FUNCTION refuse_rate_edit();
DROP FUNCTION rate_conditions_hash(text, text, text, bigint, text, text, text, text);
