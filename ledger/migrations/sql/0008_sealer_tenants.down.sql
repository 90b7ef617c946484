REVOKE SELECT (id) ON tenant FROM tokenledger_sealer;
