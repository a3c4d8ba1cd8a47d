"""What tracing adds to the product."""

from noria.core.slices import Nav, Slice

SLICE = Slice(
    name="tracing",
    http="noria.tracing.routes:router",
    pages="noria.tracing.pages:router",
    commands=("noria.tracing.commands:journal",),
    lineage="noria.tracing.lineage:edges",
    nav=(Nav("Traces", "/traces", order=10),),
)
