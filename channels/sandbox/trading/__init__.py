"""Customers for the sandbox: they buy, collect, cancel and bring back, through the vendors' own APIs alone."""
