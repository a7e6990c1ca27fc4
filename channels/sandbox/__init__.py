"""Stand-ins for the vendors, over real HTTP: same paths, payloads, errors and signed webhooks, state in the database."""
