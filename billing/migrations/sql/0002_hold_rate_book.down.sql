DROP FUNCTION hold_rate_book(bigint);
