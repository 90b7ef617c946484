-- Keeps publications of rates out until the end of the transaction; the version that no one raises until then. Two
-- statements, because the second must see what was published while the first one waited; one message to the server.
CREATE FUNCTION hold_rate_book(lock bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(lock);
    RETURN (SELECT version FROM rate_book WHERE id = 1);
END $$;
