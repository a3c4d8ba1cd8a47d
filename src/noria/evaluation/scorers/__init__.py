"""Scorers: one small file for each metric or family of metrics. Importing this package registers all of them."""

from noria.evaluation.scorers import exact_match, fields, label, text, valid
from noria.evaluation.scorers.registry import SCORERS, Answer, Scorer, judge, scorer, scorers_for

__all__ = [
    "SCORERS",
    "Answer",
    "Scorer",
    "exact_match",
    "fields",
    "judge",
    "label",
    "scorer",
    "scorers_for",
    "text",
    "valid",
]
