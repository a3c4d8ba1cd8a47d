"""Scorers, runs, intervals, comparison, baselines, gates."""
