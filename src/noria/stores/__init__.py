"""Where things are kept. Ports are Protocols; an engine's name appears only in here."""
