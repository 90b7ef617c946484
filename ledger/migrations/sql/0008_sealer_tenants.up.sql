-- Whose batches to look for that somebody took off the sealer's list: the numbers alone, no names.
GRANT SELECT (id) ON tenant TO tokenledger_sealer;
