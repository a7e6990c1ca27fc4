"""Stand-ins for the vendors over real HTTP: their paths, payloads, errors, signed webhooks; state in the database."""
