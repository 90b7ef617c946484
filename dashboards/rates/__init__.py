"""What the pages of the rates say: the table of models in use, one model's prices, a trial, the aliases."""
