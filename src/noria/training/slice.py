"""What training adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(name="training")
