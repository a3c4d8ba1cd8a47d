"""Noria: an open, self-hosted platform for the whole life of a language model in production."""

__version__ = "0.1.0"
