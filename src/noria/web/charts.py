"""Charts: one Vega-Lite definition for the page, for reports and for the terminal."""

from pathlib import Path


def bundle(folder: Path) -> Path:
    """The charts' JavaScript in `folder`."""
    raise FileNotFoundError(folder)
