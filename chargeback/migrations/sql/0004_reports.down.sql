DROP TABLE report_sent, report_subscription;
