DROP TABLE forecast_run, forecast_event;
