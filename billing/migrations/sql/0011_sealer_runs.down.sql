REVOKE ALL ON job_run FROM tokenledger_sealer;
