DROP TABLE billing_period_step, billing_period;
