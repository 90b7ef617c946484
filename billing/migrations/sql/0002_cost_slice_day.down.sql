DROP TABLE cost_slice_day;
