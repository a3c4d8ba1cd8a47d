"""Durable background work with progress, cancellation and resume."""
