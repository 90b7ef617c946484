DROP TABLE business_driver;
