DROP TABLE trace_day;
