DROP TABLE trace_cost;
