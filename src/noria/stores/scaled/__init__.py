"""Engines for more than one machine."""
