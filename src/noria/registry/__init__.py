"""Prompts, models, providers, endpoints, releases, rollouts, and the snapshot that the gateway serves from."""
