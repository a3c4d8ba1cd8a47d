"""What gateway adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(name="gateway", erase="noria.gateway.erasing:ERASER")
