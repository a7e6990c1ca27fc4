"""Which place ships an order: plans, ordered rules, reasons; and what other rules would have decided."""
