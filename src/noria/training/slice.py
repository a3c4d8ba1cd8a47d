"""What training adds to the product."""

from noria.core.slices import Slice

SLICE = Slice(
    name="training",
    tables="noria.training.tables",
    http="noria.training.http:router",
    jobs={"training.run": "noria.training.jobs:run"},
    lineage="noria.training.lineage:edges",
)
