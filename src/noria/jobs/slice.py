"""What jobs adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(name="jobs")
