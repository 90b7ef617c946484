DROP TABLE budget_window, budget;
