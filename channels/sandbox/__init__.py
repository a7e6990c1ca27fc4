"""Stand-ins for the vendors, over real HTTP: their paths, payloads, errors and signed webhooks; state in the database."""
