DROP TABLE cost_histogram_week;
