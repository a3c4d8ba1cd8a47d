"""What this layer adds to the product itself: the overview, which asks all slices at once, and erasure, which asks them too."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="app",
    http="noria.app.metrics:router",
    pages="noria.app.pages:router",
    jobs={"app.erase": "noria.app.erasing:run"},
    commands=("noria.app.erasing:erase",),
    nav=(Nav("Overview", "/", order=0),),
)
