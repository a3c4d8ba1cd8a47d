"""What evaluation adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(name="evaluation", tables="noria.evaluation.tables")
