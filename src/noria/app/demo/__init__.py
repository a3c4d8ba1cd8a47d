"""The demo: one trip through the whole loop, through the public API and the gateway, as a user's own scripts would go."""
