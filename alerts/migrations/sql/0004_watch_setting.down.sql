DROP TABLE watch_setting;
