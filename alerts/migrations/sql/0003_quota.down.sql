DROP TABLE quota_decision_hour, quota_hold;
