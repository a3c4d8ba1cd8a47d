"""Composition: command line, processes, migrations, the list of slices, the demo."""
