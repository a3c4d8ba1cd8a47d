"""Who may, whose it is, what happened: people, roles, keys, sessions, audit, sealing, personal data."""
