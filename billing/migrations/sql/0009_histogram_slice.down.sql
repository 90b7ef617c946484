DROP TABLE histogram_slice;
