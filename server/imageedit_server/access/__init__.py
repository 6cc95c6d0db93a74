"""Who may call and how often: keys, rates, rules, budgets. No transport."""
