"""The pages of chargeback: what is charged for a month, by which rules, and at which rates of exchange."""
