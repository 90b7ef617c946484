"""Showback: what each cost centre, feature, user and model cost, what a unit of it costs, and how well it is used."""
