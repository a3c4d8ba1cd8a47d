"""Training programs, each one file that reads from top to bottom."""
