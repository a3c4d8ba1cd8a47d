"""The ways in which callers and providers speak, each in a file of its own; `base` says what a dialect is."""
