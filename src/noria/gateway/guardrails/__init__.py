"""Checks of what goes to a model and of what comes back, each kind in a file of its own; `base` says what a check is."""
