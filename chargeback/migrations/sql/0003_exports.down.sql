DROP TABLE export_run, export_target;
