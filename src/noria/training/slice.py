"""What training adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="training",
    tables="noria.training.tables",
    http="noria.training.http:router",
    pages="noria.training.pages:router",
    jobs={"training.run": "noria.training.jobs:run"},
    nav=(Nav("Training", "/training", "Improve", 30),),
    lineage="noria.training.lineage:edges",
)
