"""Recipes and training runs."""
