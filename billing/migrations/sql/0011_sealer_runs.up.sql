-- The sealer's job tells when it came to its end, like every other.
GRANT SELECT, INSERT, UPDATE ON job_run TO tokenledger_sealer;
