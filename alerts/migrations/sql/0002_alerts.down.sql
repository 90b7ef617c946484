DROP TABLE alert_attempt, alert_delivery, alert_channel, alert_event, alert;
