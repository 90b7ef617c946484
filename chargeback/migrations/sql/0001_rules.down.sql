DROP TABLE allocation_rule, charge_rule, billing_setting, fx_rate;
