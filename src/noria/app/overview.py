"""What this layer adds to the product itself: the overview, which asks all slices at once."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="app", http="noria.app.metrics:router", pages="noria.app.pages:router", nav=(Nav("Overview", "/", order=0),)
)
