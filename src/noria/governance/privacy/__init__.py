"""Personal data in text: finding it (patterns.py) and replacing it by placeholders (masking.py). Pure functions."""
