DROP TABLE cost_slice;
