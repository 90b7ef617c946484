DROP TABLE bill_sign_off, variance_decision, bill_tolerance, bill_mapping, bill_day, bill_charge, provider_bill;
